"""ezmsg, each unit in a process of its own."""

from __future__ import annotations

from pathlib import Path

from bench.transport.arms.base import PeerArm
from bench.transport.ends import Task


class Ezmsg(PeerArm):
    """Zero-copy subscribers; arrays travel in its shared memory."""

    name = "ezmsg"
    environment_name = "ezmsg"
    packages = ("ezmsg", "numpy")

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        return [self.python("ezmsg_units")]

    def environment(self, run: Path, task: Task) -> dict[str, str]:
        return {**super().environment(run, task), "EZMSG_LOGLEVEL": "WARNING"}
