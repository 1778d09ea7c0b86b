"""The whole bench: in every round every cell, in every cell every arm once, in an order that rotates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.transport.arms.base import Arm
from bench.transport.cells import Cell
from bench.transport.figures import Results, Run, rotated
from bench.transport.one_run import carry

Plan = Mapping[Cell, Sequence[str]]
"""Which arms carry which cell."""


def orders(plan: Plan, rounds: int) -> Iterator[tuple[int, Cell, str]]:
    """(round, cell, arm) in the order of running."""
    for round_number in range(rounds):
        for position, (cell, arms) in enumerate(plan.items()):
            for arm in rotated(arms, round_number + position):
                yield round_number, cell, arm


def run_all(arms: Mapping[str, Arm], plan: Plan, rounds: int, tell: Callable[[int, Cell, str, Run | None], None]) -> Results:
    """Run everything; `tell` is called before each run, and after it with what it gave. Ctrl-C ends it with what there is."""
    results = Results()
    try:
        for round_number, cell, arm in orders(plan, rounds):
            tell(round_number, cell, arm, None)
            run = carry(arms[arm], cell, round_number)
            results.runs.append(run)
            tell(round_number, cell, arm, run)
    except KeyboardInterrupt:
        return results
    return results
