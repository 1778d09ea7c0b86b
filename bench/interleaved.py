"""Arms that take turns, so that what a machine does meanwhile happens to all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

A = TypeVar("A", bound="Turn")
F = TypeVar("F")


class Loaded(Protocol):
    """A run that knows what else the machine did."""

    @property
    def load(self) -> float: ...  # of the machine over the minute before it

    @property
    def others(self) -> float: ...  # share of the processor time that went to programs outside the run


class Turn(Protocol):
    """What takes turns."""

    @property
    def name(self) -> str: ...

    @property
    def missing(self) -> str:
        """Why it cannot take part; empty where it can."""


def interleaved(arms: Sequence[A], rounds: int, measure: Callable[[A], F]) -> dict[str, list[F]]:
    """Measure every arm in every round, in a rotating order; those that are missing are told and left out."""
    from rich.console import Console
    from rich.progress import track

    there = [arm for arm in arms if not arm.missing]
    for arm in arms:
        if arm.missing:
            Console().print(f"{arm.name} is left out: {arm.missing}")
    turns = [arm for n in range(rounds) for arm in there[n % len(there) :] + there[: n % len(there)]]
    runs: dict[str, list[F]] = {arm.name: [] for arm in there}
    for arm in track(turns, "measuring", console=Console(stderr=True)):
        runs[arm.name].append(measure(arm))
    return runs


def among(arms: Sequence[A], names: Sequence[str] | None) -> list[A]:
    """The arms of these names; all where there are none.

    :raises typer.BadParameter: there is no such arm.
    """
    from typer import BadParameter

    if unknown := set(names or ()) - {one.name for one in arms}:
        raise BadParameter(f"no such arm: {', '.join(unknown)}; there are {', '.join(one.name for one in arms)}")
    return [one for one in arms if not names or one.name in names]


def loads() -> list[tuple[str, Callable[[Sequence[Loaded]], str]]]:
    """What else the machine did, as rows of a table."""
    return [
        ("load before a session", lambda runs: " ".join(f"{one.load:.1f}" for one in runs)),
        ("time for other programs, %", lambda runs: " ".join(f"{100 * one.others:.0f}" for one in runs)),
    ]


def show(runs: dict[str, list[F]], rows: Sequence[tuple[str, Callable[[list[F]], str]]], file: Path | None) -> None:
    """A table of rows, a column an arm; and every run in a file, as JSON."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", *runs)
    for row, told in rows:
        table.add_row(row, *(told(of_arm) for of_arm in runs.values()))
    Console().print(table)
    if file is not None:
        document: Any = {name: [asdict(one) for one in of_arm] for name, of_arm in runs.items()}  # type: ignore[call-overload]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=1))
