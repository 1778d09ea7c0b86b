"""Reads the logs of a graph: JSON lines and what stands between them, of all its processes, in the order of time."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from graph.errors import VoicegraphError
from graph.log_rotation import KEPT, LEVELS, STAMP, old

SUPERVISOR = "supervisor"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LOOKS_BAD = re.compile(r"^\s*(Traceback|Fatal Python error|\w*(Error|Exception)\b)|\b(error|fatal|segmentation fault)\b", re.I)


class BadSince(VoicegraphError):
    exit_code = 2


@dataclass(frozen=True, order=True)
class Line:
    """One line; that of a library, which has no time of its own, has that of the line before it."""

    timestamp: str  # ISO, UTC
    instance: str
    level: str = field(compare=False)
    event: str = field(compare=False)
    fields: dict[str, Any] = field(compare=False)

    def as_json(self) -> str:
        said = {"timestamp": self.timestamp, "level": self.level, "event": self.event, "instance": self.instance}
        return msgspec.json.encode({**said, **self.fields}).decode()


def parse(text: str, instance: str, before: str) -> Line:
    """A line of the file of an instance; `before` is the time of the one before it."""
    if text.startswith("{"):
        try:
            said = msgspec.json.decode(text, type=dict[str, Any])
            timestamp, level, event = (str(said.pop(key)) for key in ("timestamp", "level", "event"))
            said.pop("instance", None)
            return Line(timestamp, instance, level, event, said)
        except (msgspec.DecodeError, KeyError):
            pass
    return Line(before, instance, "error" if _LOOKS_BAD.search(text) else "info", text, {})


def files_of(folder: Path) -> dict[str, Path]:
    """The logs of a graph by instance."""
    return {file.name.removesuffix(".log"): file for file in sorted(folder.glob("*.log"))}


def read(folder: Path, instances: Sequence[str]) -> Iterator[Line]:
    """All lines of these instances, the old files among them, in the order of time."""
    return heapq.merge(*(_lines(folder / f"{instance}.log", instance) for instance in instances))


def _lines(file: Path, instance: str) -> Iterator[Line]:
    before = ""
    for one in [*(old(file, age) for age in range(KEPT, 0, -1)), file]:
        if one.exists():
            with one.open(errors="replace") as lines:
                for text in lines:
                    line = parse(text.rstrip("\n"), instance, before)
                    before = line.timestamp
                    yield line


def since(text: str, now: datetime | None = None) -> str:
    """`5m`, `2h`, `90s` ago, or an ISO time, as the time stamp that lines are compared with.

    :raises BadSince: neither.
    """
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is not None:
        at = (now or datetime.now(UTC)) - timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
        return at.strftime(STAMP)
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime(STAMP)
    except ValueError:
        raise BadSince(f"--since '{text}' is no time (5m, 2h, 90s, or 2026-01-31T12:00)") from None


def at_least(level: str) -> set[str]:
    """The levels from this one up."""
    least = LEVELS[level]
    return {name for name, value in LEVELS.items() if value >= least} | {"critical"}


class Follower:
    """New lines of one file, across rotation: what stood in the old one is read to its end before the new one is begun."""

    def __init__(self, file: Path, instance: str, from_end: bool) -> None:
        self._file, self._instance = file, instance
        self._opened: BinaryIO | None = None
        self._before = self._half = ""
        if from_end and file.exists():
            self._opened = self._file.open("rb")
            self._opened.seek(0, os.SEEK_END)

    def lines(self) -> Iterator[Line]:
        """What has come since the last call."""
        if self._opened is None:
            if not self._file.exists():
                return
            self._opened = self._file.open("rb")
        yield from self._read(self._opened)
        now = self._file.stat() if self._file.exists() else None
        here = os.fstat(self._opened.fileno())
        if now is not None and (now.st_dev, now.st_ino) != (here.st_dev, here.st_ino):
            yield from self._read(self._opened)
            self._opened.close()
            self._opened = self._file.open("rb")
            yield from self._read(self._opened)
        elif here.st_size < self._opened.tell():
            self._opened.seek(0)  # it was emptied

    def _read(self, opened: BinaryIO) -> Iterator[Line]:
        *whole, self._half = (self._half + opened.read().decode(errors="replace")).split("\n")
        for text in whole:
            line = parse(text, self._instance, self._before)
            self._before = line.timestamp
            yield line
