"""Reads the logs of a graph: of all its processes, in the order of time, over rotations, each line once."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec

from graph.log_lines import BEGIN, Line, Lines
from graph.log_rotation import KEPT, LEFT_OUT, STAMP, old

PIECE = 2**20  # bytes read at a time; a line that is longer is shown in pieces
HEAD = 2**16  # bytes at the begin of a file that are looked through for the first time
HANDOVER_S = 0.005  # who rotates its own file may write to the old one for some microseconds more

_Id: TypeAlias = tuple[int, int] | None  # device and inode; None: no such file


def files_of(folder: Path) -> dict[str, Path]:
    """The logs of a graph by instance."""
    return {file.name.removesuffix(".log"): file for file in sorted(folder.glob("*.log"))}


def read(folder: Path, instances: Sequence[str]) -> Iterator[Line]:
    """All lines of these instances, the old files among them, in the order of time."""
    followers = [Follower(folder / f"{instance}.log", instance) for instance in instances]
    return heapq.merge(*(follower.lines() for follower in followers))


class Follower:
    """The lines of one instance: at first all that there are, with the old files; then those that have come since.

    How often it was rotated between two looks does not matter, as long as no file went that was not read yet.
    """

    def __init__(self, file: Path, instance: str) -> None:
        self._file = file
        self._lines = Lines(instance)
        self._opened: list[BinaryIO] = []  # the last is the one that is written to; the others are read once more
        self._youngest: _Id = None  # of the old files, when they were last looked at
        self._half = b""
        self._looked = False

    def lines(self) -> Iterator[Line]:
        """What has come since the last call, up to now."""
        live, self._looked = self._looked, True
        self._look()
        while self._opened:
            opened = self._opened[0]
            if not self._lines.timed:
                self._lines.before = datetime.now(UTC).strftime(STAMP) if live else _time_of(opened)
            yield from self._read(opened, os.fstat(opened.fileno()).st_size)
            if len(self._opened) == 1:
                return
            self._opened.pop(0).close()

    def rest(self) -> Iterator[Line]:
        """The last line, where its end was never written."""
        if self._half:
            yield from self._lines.of(self._half.decode(errors="replace"))
            self._half = b""

    def close(self) -> None:
        """Let go of the files."""
        while self._opened:
            self._opened.pop().close()

    def _read(self, opened: BinaryIO, end: int) -> Iterator[Line]:
        while (piece := opened.read(min(PIECE, max(0, end - opened.tell())))) != b"":
            *whole, self._half = (self._half + piece).split(b"\n")
            if len(self._half) > PIECE:
                whole, self._half = [*whole, self._half], b""
            for text in whole:
                yield from self._lines.of(text.decode(errors="replace"))

    def _look(self) -> None:
        """Open what is new: the log itself, and what it was before it was rotated."""
        for _ in range(10):  # unless it is rotated just now, once
            ids = [_id(old(self._file, age)) for age in range(1, KEPT + 1)]
            now = _id(self._file)
            mine = _id(self._opened[-1]) if self._opened else None
            known = self._youngest in ids and self._youngest is not None
            new = ids.index(self._youngest) if known else sum(one is not None for one in ids)
            if now is None or (mine == now and not new):
                break
            with ExitStack() as opening:
                try:
                    names = [*(old(self._file, age) for age in range(new, 0, -1)), self._file]
                    opened: list[BinaryIO] = [opening.enter_context(name.open("rb")) for name in names]
                except FileNotFoundError:
                    continue
                if [_id(one) for one in opened] != [*reversed(ids[:new]), now]:
                    continue
                opening.pop_all()
            self._youngest = ids[0]
            self._go_on_with(opened, known or ids[KEPT - 1] is None)
            return
        if self._opened and os.fstat(self._opened[-1].fileno()).st_size < self._opened[-1].tell():
            self._opened[-1].seek(0)  # somebody else has emptied it

    def _go_on_with(self, opened: list[BinaryIO], all_there: bool) -> None:
        """Continue in newly opened files, the oldest of which is, or is a copy of, the one that was read so far."""
        if self._opened:
            before = self._opened.pop()
            time.sleep(HANDOVER_S)
            ids = [_id(one) for one in opened]
            if _id(before) in ids[:-1]:  # renamed
                for _ in range(ids.index(_id(before)) + 1):
                    opened.pop(0).close()
            elif all_there and len(opened) > 1:  # copied
                _skip(opened[0], before.tell())
            if _id(before) == ids[-1]:  # and emptied
                before.close()
            else:
                opened.insert(0, before)
        self.close()
        self._opened = opened


def _id(file: Path | BinaryIO) -> _Id:
    try:
        found = file.stat() if isinstance(file, Path) else os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _skip(copy: BinaryIO, read: int) -> None:
    """Go to where so many bytes of the file had been read that this is a copy of; its begin may be left out."""
    first = copy.readline(HEAD)
    left_out = 0
    if LEFT_OUT.encode() in first:
        left_out = msgspec.json.decode(first)["bytes"] - len(first)
    copy.seek(max(read - left_out, len(first) if left_out else 0))


def _time_of(opened: BinaryIO) -> str:
    """The time for what stands before the first line that has one; that of the last writing where none has."""
    here = opened.tell()
    head = opened.read(HEAD).decode(errors="replace")
    opened.seek(here)
    begin = head.find(BEGIN)
    if begin >= 0:
        return head[begin + len(BEGIN) :].partition('"')[0]
    return datetime.fromtimestamp(os.fstat(opened.fileno()).st_mtime, UTC).strftime(STAMP)
