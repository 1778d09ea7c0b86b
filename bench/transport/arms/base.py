"""An arm: one way to carry messages, with the commands that start its processes."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path

from bench.transport.cells import Cell, Shape
from bench.transport.ends import FOLDER_VARIABLE, Task

ROOT = Path(__file__).parents[3]  # the checkout
PEERS = ROOT / "bench" / ".peers"
INSTALLED = ".installed"  # made by `make bench-peers` when an environment is complete
PEER_HINT = "make bench-peers"


class Arm(ABC):
    """How one transport is started, and what it can carry."""

    name: str
    shapes: frozenset[Shape] = frozenset({"1 hop", "3 hops", "fan-out"})
    ends_itself = True  # its processes end when their source does; of others the bench ends what is left

    def carries(self, cell: Cell) -> bool:
        return cell.shape in self.shapes

    @abstractmethod
    def commands(self, run: Path, task: Task) -> list[list[str]]:
        """What to start, in this order; files that they need are written into the folder of the run."""

    def environment(self, run: Path, task: Task) -> dict[str, str]:
        """For all its processes."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "PYTHONPATH": path, FOLDER_VARIABLE: str(run)}

    def folder(self, run: Path) -> Path:
        """Where its processes start."""
        return run

    @property
    def missing(self) -> str:
        """Why it cannot run here and what to do about it; empty when it can."""
        return ""

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of the libraries that decide how fast it is."""
        return {}

    def python(self, module: str, *arguments: object) -> list[str]:
        """The command that runs a module of bench.transport.peers."""
        return [sys.executable, "-m", f"bench.transport.peers.{module}", *map(str, arguments)]


class PeerArm(Arm):
    """An arm whose Python is an environment of its own, made by `make bench-peers`."""

    environment_name: str
    packages: Sequence[str]

    @property
    def bin(self) -> Path:
        return PEERS / self.environment_name / "bin"

    @property
    def missing(self) -> str:
        return "" if (self.bin.parent / INSTALLED).exists() else f"not installed: {PEER_HINT}"

    @cached_property
    def versions(self) -> dict[str, str]:
        found = sorted((PEERS / self.environment_name).glob("lib/python*/site-packages"))
        named = {d.metadata["Name"]: d.version for d in metadata.distributions(path=[str(p) for p in found])}
        return {package: named.get(package, "?") for package in self.packages}

    def environment(self, run: Path, task: Task) -> dict[str, str]:
        inherited = super().environment(run, task)
        # Without our own PYTHONPATH: it may hold libraries of another environment.
        return {**inherited, "PYTHONPATH": str(ROOT), "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}"}

    def python(self, module: str, *arguments: object) -> list[str]:
        return [str(self.bin / "python"), *super().python(module, *arguments)[1:]]


def chain(task: Task) -> list[tuple[str, ...]]:
    """Relays and sinks of a chain of one-way hops, as arguments: ("relay", hop), ("sink", hop, number); the source is apart."""
    relays = [("relay", str(hop)) for hop in range(1, task.hops)]
    return [*(("sink", str(task.hops), str(number)) for number in range(task.sinks)), *relays]
