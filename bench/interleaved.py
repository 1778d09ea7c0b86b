"""Arms that take turns, so that what a machine does meanwhile happens to all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

A = TypeVar("A", bound="Turn")
F = TypeVar("F")


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
