"""Bounds what processes write down: a log that has become long is put aside, and the oldest goes.

A worker rotates its own file: it makes a new one and puts it on its descriptors, so no line is lost.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}  # as in `logging`
STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"  # of every line; UTC, so that they sort as they are
BYTES_MAX = 8 * 2**20  # of a file before it is rotated
KEPT = 3  # old ones


class Journal:
    """What the supervisor has told, in the form of the nodes' logs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, level: str, text: str, about: str) -> None:
        """Write a line; one that cannot be written is not worth ending a graph for."""
        at = datetime.now(UTC).strftime(STAMP)
        said = {"timestamp": at, "level": "info" if level == "status" else level, "event": text}
        if about:
            said["about"] = about
        with contextlib.suppress(OSError):
            if self._file.exists() and self._file.stat().st_size >= BYTES_MAX:
                shift(self._file)
            with self._file.open("ab") as file:
                file.write(msgspec.json.encode(said) + b"\n")


def rotate(file: Path, most: int = BYTES_MAX) -> bool:
    """Begin a new file when this process' own has become long; what goes to descriptors 1 and 2 goes there from now on.

    Nothing is lost: the old file keeps its lines under another name. Descriptor 1 is left alone where it is something else
    (the terminal). Does nothing where descriptor 2 is not that file.
    """
    ours = os.fstat(2)
    if ours.st_size < most or not _same(ours, file):
        return False
    both = _same(os.fstat(1), file)
    shift(file)
    fresh = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(fresh, 2)
    if both:
        os.dup2(fresh, 1)
    os.close(fresh)
    return True


def _same(opened: os.stat_result, file: Path) -> bool:
    try:
        named = file.stat()
    except OSError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def old(file: Path, age: int) -> Path:
    """Where the age-th last file of a log is: `stt.log.1`."""
    return file.with_name(f"{file.name}.{age}")


def shift(file: Path) -> None:
    """Make room for a new file: the others become one older, the oldest goes."""
    for age in range(KEPT, 0, -1):
        source = old(file, age - 1) if age > 1 else file
        if source.exists():
            source.replace(old(file, age))


def cut(file: Path, most: int = BYTES_MAX) -> bool:
    """Rotate the log of a process that keeps its descriptor (a program): copied and emptied.

    What it writes in between is lost.
    """
    if not file.exists() or file.stat().st_size < most:
        return False
    for age in range(KEPT, 1, -1):
        if old(file, age - 1).exists():
            old(file, age - 1).replace(old(file, age))
    old(file, 1).write_bytes(file.read_bytes())
    os.truncate(file, 0)
    return True
