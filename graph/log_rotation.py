"""Bounds what processes write down: a log that has become long is put aside, and the oldest goes.

A worker rotates its own file: it makes a new one and puts it on its descriptors, so no line is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}  # as in `logging`
STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"  # of every line; UTC, so that they sort as they are
BYTES_MAX = 8 * 2**20  # of a file before it is rotated
KEPT = 3  # old ones
HUGE = 2 * BYTES_MAX  # a file that grew beyond this before it was looked at keeps only its end
LEFT_OUT = "left out: the log grew faster than it was rotated"


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


def is_long(most: int = BYTES_MAX) -> bool:
    """True when it is time that this process rotates its own file, which is where its descriptor 2 goes."""
    try:
        return os.fstat(2).st_size >= most
    except OSError:
        return False


def rotate(file: Path, most: int = BYTES_MAX) -> bool:
    """Begin a new file when this process' own has become long; what goes to descriptors 1 and 2 goes there from now on.

    Nothing is lost: the old file keeps its lines under another name. Descriptor 1 is left alone where it is something else
    (the terminal). Does nothing where descriptor 2 is not that file, or the disk refuses: it is asked again next time.
    """
    try:
        ours = os.fstat(2)
        if ours.st_size < most or not _same(ours, file):
            return False
        both = _same(os.fstat(1), file)
        fresh = file.with_name(f".{file.name}.new")
        opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        with file.open("r+b") as full:
            if not _alone(full, file):
                return False
            shift(file)
            fresh.replace(file)
            os.dup2(opened, 2)
            if both:
                os.dup2(opened, 1)
            if os.fstat(full.fileno()).st_size > HUGE:
                _copy_of_end(full, file, most).replace(old(file, 1))
                full.truncate(0)  # a child that has it open must not hold its blocks
    except OSError:
        return False
    finally:
        os.close(opened)
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
    """Rotate the log of a process that keeps its descriptor (a program), or cannot do it itself: copied and emptied.

    What it writes in between is lost. Does nothing where the disk refuses.
    """
    try:
        if file.stat().st_size < most:
            return False
        with file.open("r+b") as full:
            if not _alone(full, file):
                return False
            copy = _copy_of_end(full, file, most)
            for age in range(KEPT, 1, -1):
                if old(file, age - 1).exists():
                    old(file, age - 1).replace(old(file, age))
            copy.replace(old(file, 1))
            full.truncate(0)
    except OSError:
        return False
    return True


def _alone(full: BinaryIO, file: Path) -> bool:
    """Take the right to rotate, which one process has at a time: a node and the supervisor may both find that it is time."""
    try:
        fcntl.flock(full, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _same(os.fstat(full.fileno()), file)


def _copy_of_end(full: BinaryIO, file: Path, most: int) -> Path:
    """A copy of what is to be kept of a file, beside it.

    What is HUGE keeps its last `most` bytes, from a line's begin on; a line of ours before them says how much is left out.
    """
    length = os.fstat(full.fileno()).st_size
    begin = 0
    if length > max(HUGE, most):
        full.seek(length - most)
        full.readline(most)
        begin = full.tell()
    copy = file.with_name(f".{file.name}.copy")
    with copy.open("wb") as kept:
        if begin:
            said = {"timestamp": datetime.now(UTC).strftime(STAMP), "level": "warning", "event": LEFT_OUT, "bytes": begin}
            kept.write(msgspec.json.encode(said) + b"\n")
        full.seek(begin)
        while piece := full.read(min(2**20, length - full.tell())):
            kept.write(piece)
    return copy
