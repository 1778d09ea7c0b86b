"""Redis pub/sub: a broker on the loopback device, started for each run and counted with it."""

from __future__ import annotations

import shutil
import subprocess
from functools import cached_property
from pathlib import Path

from bench.transport.arms.base import PeerArm, chain
from bench.transport.ends import Task


class Redis(PeerArm):
    """Without persistence, and without the limit at which it cuts slow subscribers off."""

    name = "Redis pub/sub"
    environment_name = "redis"
    packages = ("redis", "hiredis", "msgpack")
    ends_itself = False

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        server = ["redis-server", "--port", str(task.port), "--bind", "127.0.0.1", "--dir", str(run), "--save", ""]
        server += ["--appendonly", "no", "--client-output-buffer-limit", "pubsub", "0", "0", "0"]
        roles = [*chain(task), ("source",)]
        return [server, *(self.python("redis_pubsub", *role) for role in roles)]

    @property
    def missing(self) -> str:
        return super().missing or ("" if shutil.which("redis-server") else "no redis-server: apt install redis-server")

    @cached_property
    def versions(self) -> dict[str, str]:
        told = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=False).stdout
        version = next((word[2:] for word in told.split() if word.startswith("v=")), "?")
        return {"redis-server": version, **super().versions}
