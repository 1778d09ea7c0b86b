"""Raw pyzmq, in our own interpreter and so on the very libzmq that the engine uses: what the engine adds is the difference."""

from __future__ import annotations

from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import zmq

from bench.transport.arms.base import Arm, chain
from bench.transport.ends import Task


class Publish(Arm):
    """What a stream is made of."""

    name = "pyzmq PUB/SUB"
    pattern = "pubsub"
    ends_itself = False  # relays wait for more

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        roles = [*chain(task), ("source",)]
        return [self.python("zeromq", self.pattern, *role) for role in roles]

    @property
    def missing(self) -> str:
        return "" if find_spec("msgpack") else "needs msgpack: pip install -e '.[dev]'"

    @cached_property
    def versions(self) -> dict[str, str]:
        return {"pyzmq": zmq.__version__, "libzmq": zmq.zmq_version(), "msgpack": metadata.version("msgpack")}


class Push(Publish):
    """What a queue is made of."""

    name = "pyzmq PUSH/PULL"
    pattern = "pushpull"
    shapes = frozenset({"1 hop", "3 hops"})
