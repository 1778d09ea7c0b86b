"""The figures of a run, of several rounds together, and of one arm against another."""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.transport.arms import ARMS
from bench.transport.cells import Cell

Figure = Literal["p50_us", "p99_us", "per_second", "lossless_per_second", "lost", "cpu_us", "memory_mb"]
MORE_IS_BETTER: frozenset[Figure] = frozenset({"per_second", "lossless_per_second"})


@dataclass(frozen=True)
class Run:
    """What one arm did in one cell in one round. Every figure is None of a run that failed."""

    arm: str
    cell: Cell
    round: int
    p50_us: float | None = None
    p99_us: float | None = None
    per_second: float | None = None  # deliveries, counted from the first send to the last arrival
    lost: float | None = None  # of all deliveries there should have been, 0 to 1
    cpu_us: float | None = None  # per message sent, of all processes together
    memory_mb: float | None = None  # 2**20 bytes, PSS of all processes together
    in_order: bool | None = None
    processes: int | None = None
    failed: str = ""

    def figure(self, figure: Figure) -> float | None:
        value: float | None = getattr(self, figure)
        return value

    @property
    def lossless_per_second(self) -> float | None:
        return self.per_second if self.lost == 0 else None


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some rounds."""

    median: float
    low: float
    high: float


def quantile(ordered: Sequence[int], q: float) -> float:
    """The nearest-rank quantile of values in ascending order."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def run_of(
    arm: str,
    cell: Cell,
    round_number: int,
    *,
    numbers: Sequence[array[int]],
    latencies_ns: Sequence[array[int]],
    carried_ns: int,
    cpu_ns: int,
    memory_bytes: int,
    processes: int,
) -> Run:
    """The figures of what the sinks noted; with several sinks the latencies of all deliveries are taken together."""
    latencies = sorted(ns for one in latencies_ns for ns in one)
    if not latencies:
        return Run(arm, cell, round_number, failed="every counted message was lost")
    expected = cell.count * cell.sinks
    return Run(
        arm,
        cell,
        round_number,
        p50_us=quantile(latencies, 0.5) / 1e3,
        p99_us=quantile(latencies, 0.99) / 1e3,
        per_second=len(latencies) / (carried_ns / 1e9),
        lost=1 - sum(len(set(one)) for one in numbers) / expected,
        cpu_us=cpu_ns / 1e3 / cell.count,
        memory_mb=memory_bytes / 2**20,
        in_order=all(list(one) == sorted(one) for one in numbers),
        processes=processes,
    )


def spread(values: Iterable[float | None]) -> Spread | None:
    """None when no round has a value."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


class Results:
    """All runs so far, and what they say together."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs = list(runs)

    @property
    def cells(self) -> list[Cell]:
        return list(dict.fromkeys(run.cell for run in self.runs))

    @property
    def arms(self) -> list[str]:
        """In the order of the table, not in that of running, which rotates."""
        names = [arm.name for arm in ARMS]
        found = dict.fromkeys(run.arm for run in self.runs)
        return sorted(found, key=lambda name: names.index(name) if name in names else len(names))

    def of(self, arm: str, cell: Cell) -> list[Run]:
        """The rounds of one arm in one cell."""
        return [run for run in self.runs if run.arm == arm and run.cell.key == cell.key]

    def spread(self, arm: str, cell: Cell, figure: Figure) -> Spread | None:
        return spread(run.figure(figure) for run in self.of(arm, cell))

    def ratio(self, arm: str, others: Sequence[str], cell: Cell, figure: Figure) -> Spread | None:
        """One arm's figure over the best of the others', round by round, so that what the machine did in a round cancels."""
        return spread(self._ratios(arm, others, cell, figure))

    def _ratios(self, arm: str, others: Sequence[str], cell: Cell, figure: Figure) -> Iterable[float]:
        best = max if figure in MORE_IS_BETTER else min
        theirs: dict[int, list[float]] = {}
        for run in (run for other in others for run in self.of(other, cell)):
            value = run.figure(figure)
            if value:
                theirs.setdefault(run.round, []).append(value)
        for run in self.of(arm, cell):
            mine = run.figure(figure)
            if mine is not None and run.round in theirs:
                yield mine / best(theirs[run.round])


def rotated(arms: Sequence[str], by: int) -> list[str]:
    """The arms, beginning with another one each time: what comes first or after whom falls on all of them."""
    start = by % len(arms) if arms else 0
    return [*arms[start:], *arms[:start]]
