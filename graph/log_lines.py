"""A line of a log, from whoever wrote it: JSON of ours, or what a library printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from graph.errors import VoicegraphError
from graph.log_rotation import LEVELS, STAMP

BEGIN = '{"timestamp":"'  # of a line of ours; what stands before it was printed without a line's end
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LOOKS_BAD = re.compile(  # what is printed when something is wrong; not "0 errors" or "error rate"
    r"\b(ERROR|FATAL|CRITICAL|PANIC)\b|^\s*([\w.]+\.)?\w*(Error|Exception|Interrupt)(:|$)|^\s*(fatal|panic|error)\b\s*[:!\[]"
    r"|^\s*(Traceback|Fatal Python error|Segmentation fault|Aborted|terminate called|Uncaught )|[Cc]ore dumped"
)
_LOOKS_ODD = re.compile(r"\bWARN(ING)?\b|^\s*[Ww]arning\b|\w+Warning:")
_TRACE = re.compile(r"^(Traceback \(|(Current )?[Tt]hread 0x)")
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-_])")
_CONTROL = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)))


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
    found = _ours(text, instance)
    if found is not None:
        return found
    level = "error" if _LOOKS_BAD.search(text) else "warning" if _LOOKS_ODD.search(text) else "info"
    return Line(before, instance, level, text, {})


def _ours(text: str, instance: str) -> Line | None:
    if not text.startswith("{"):
        return None
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
        timestamp, level, event = (str(said.pop(key)) for key in ("timestamp", "level", "event"))
    except (msgspec.DecodeError, KeyError):
        return None
    said.pop("instance", None)
    return Line(timestamp, instance, level, event, said)


class Lines:
    """The lines of one instance, one after the other: each may need what the one before it told."""

    def __init__(self, instance: str) -> None:
        self.timed = False  # a line with a time has come
        self.before = ""  # the time for what is printed
        self._instance = instance
        self._trace = False

    def of(self, text: str) -> Iterator[Line]:
        """What stands between two line ends: one line, or something printed without an end and then one of ours."""
        found = _ours(text, self._instance)
        begin = text.find(BEGIN, 1) if found is None else 0
        if begin > 0:
            found = _ours(text[begin:], self._instance)
            text = text[:begin] if found is not None else text
        if found is None or begin > 0:
            yield self._printed(text)
        if found is not None:
            self.timed, self._trace, self.before = True, False, found.timestamp
            yield found

    def _printed(self, text: str) -> Line:
        line = parse(text, self._instance, self.before)
        if self._trace:  # its indented lines, and the one that ends it
            self._trace = text[:1].isspace()
            return Line(line.timestamp, line.instance, "error", text, {})
        self._trace = _TRACE.match(text) is not None
        return Line(line.timestamp, line.instance, "error", text, {}) if self._trace else line


def printable(text: str) -> str:
    """A text without what would move a terminal's cursor or colour it; of a progress bar its last state."""
    return _ESCAPE.sub("", text.rstrip("\r").rpartition("\r")[2]).translate(_CONTROL)


def since(text: str, now: datetime | None = None) -> str:
    """`5m`, `2h`, `90s` ago, or an ISO time, as the time stamp that lines are compared with.

    :raises BadSince: neither.
    """
    match = re.fullmatch(r"(\d+)([smhd])", text)
    try:
        if match is not None:
            at = (now or datetime.now(UTC)) - timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
            return at.strftime(STAMP)
        return datetime.fromisoformat(text).astimezone(UTC).strftime(STAMP)
    except (ValueError, OverflowError):
        raise BadSince(f"--since '{text}' is no time (5m, 2h, 90s, or 2026-01-31T12:00)") from None


def at_least(level: str) -> set[str]:
    """The levels from this one up."""
    least = LEVELS[level]
    return {name for name, value in LEVELS.items() if value >= least} | {"critical"}
