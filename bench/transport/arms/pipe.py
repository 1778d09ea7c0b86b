"""multiprocessing.Pipe: what comes with Python."""

from __future__ import annotations

import platform
from functools import cached_property
from pathlib import Path

from bench.transport.arms.zeromq import Publish
from bench.transport.ends import Task


class Pipe(Publish):
    """A pipe a listener, bytes in and out."""

    name = "Pipe"

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        return [self.python("pipes")]

    @cached_property
    def versions(self) -> dict[str, str]:
        return {"python": platform.python_version()}
