"""The values of a graph file, each knowing where it stands, and how one file is laid over another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from graph.errors import Problem

Scalar: TypeAlias = str | int | float | bool | None
Path: TypeAlias = Sequence[str | int]

_WHAT_RUNS = ("use", "exec")  # keys of a node


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written; lines and columns count from 1, 0 where the text has no lines (the command line)."""

    file: str
    line: int = 0
    column: int = 0

    def problem(self, message: str, text: str = "", suggestion: str = "") -> Problem:
        """Something is wrong here."""
        return Problem(message, self.file, self.line, self.column, text, suggestion)


@dataclass(frozen=True, slots=True)
class Located:
    """A value of the file: a scalar, a list or a mapping."""

    value: Scalar | list[Located] | dict[str, Located]
    place: Place
    key: Place | None = None  # where its key stands, if it is in a mapping
    text: str = ""  # a scalar as it is written, without its quotes
    plain: bool = False  # a scalar without quotes: its type follows from its text

    @property
    def mapping(self) -> dict[str, Located]:
        """The entries of a mapping; none of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def data(self) -> Any:
        """The value without its places, as JSON data."""
        if isinstance(self.value, dict):
            return {key: entry.data for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [item.data for item in self.value]
        return self.value

    @property
    def shown(self) -> str:
        """The value as an error message quotes it."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if self.value is None:
            return "empty"
        return self.text if self.plain and not isinstance(self.value, str) else f"'{self.text}'"

    def follow(self, path: Path) -> tuple[Located, tuple[str | int, ...]]:
        """The deepest value on a path and the steps that led to it.

        Steps that are not in the file are passed over: a short form spares them, and pydantic adds some of its own.
        """
        here = self
        taken: tuple[str | int, ...] = ()
        for step in path:
            if isinstance(here.value, dict) and step in here.value:
                here = here.value[str(step)]
            elif isinstance(here.value, list) and isinstance(step, int) and step < len(here.value):
                here = here.value[step]
            else:
                continue
            taken = (*taken, step)
        return here, taken

    def at(self, path: Path) -> Located:
        """The deepest value on a path."""
        return self.follow(path)[0]

    def moved(self, place: Place) -> Located:
        """The same value, all of it at one place."""
        value = self.value
        if isinstance(value, dict):
            value = {key: entry.moved(place) for key, entry in value.items()}
        elif isinstance(value, list):
            value = [item.moved(place) for item in value]
        return replace(self, value=value, place=place, key=place if self.key else None)

    def has(self, path: Path) -> bool:
        """True when every step of a path of mappings is in the file."""
        here = self
        for step in path:
            if step not in here.mapping:
                return False
            here = here.mapping[str(step)]
        return True


def overlay(base: Located, over: Located, path: tuple[str, ...] = ()) -> Located:
    """Lay one file over another: mappings are merged, everything else is replaced.

    Two rules serve the graph file: a node that gets another `use` or `exec` loses the one it had, and its old `with` and
    `out`, which were another's; and an empty node or input takes that node or input away.
    """
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(base.value)
    if _is_node(path) and _runs_another(base, over):
        for key in (*_WHAT_RUNS, "with", "out"):
            merged.pop(key, None)
    for key, value in over.value.items():
        if value.value is None and key in merged and (_is_node((*path, key)) or _is_input((*path, key))):
            del merged[key]
        else:
            merged[key] = overlay(merged[key], value, (*path, key)) if key in merged else value
    return replace(over, value=merged)


def _is_node(path: tuple[str, ...]) -> bool:
    return len(path) == 2 and path[0] == "nodes"


def _is_input(path: tuple[str, ...]) -> bool:
    return len(path) == 4 and path[0] == "nodes" and path[2] == "in"


def _runs_another(base: Located, over: Located) -> bool:
    old, new = ({key: node.mapping[key].data for key in _WHAT_RUNS if key in node.mapping} for node in (base, over))
    return bool(old and new) and old != new


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """In the order of the file; files in the order in which they were first complained about; no complaint twice."""
    files = list(dict.fromkeys(p.file for p in problems))
    return sorted(dict.fromkeys(problems), key=lambda p: (files.index(p.file), p.line, p.column))
