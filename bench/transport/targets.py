"""What the project wants of its transport, each a ratio between arms of the same round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.transport.cells import KB, MB, Cell, cell
from bench.transport.figures import MORE_IS_BETTER, Figure, Results, Spread

STREAM, QUEUE = "voicegraph stream", "voicegraph queue"
RAW = {STREAM: "pyzmq PUB/SUB", QUEUE: "pyzmq PUSH/PULL"}  # what each is made of
DORA = ("dora", "dora backpressure")
FIGURE_NAMES: dict[Figure, str] = {"p50_us": "p50", "cpu_us": "CPU per message", "lossless_per_second": "lossless rate"}

Verdict = Literal["met", "missed", "not measured"]


@dataclass(frozen=True)
class Target:
    """A figure of one of our arms, at most (of a rate: at least) `limit` times the best of the others'."""

    arm: str
    others: tuple[str, ...]
    cell: Cell
    figure: Figure
    limit: float

    @property
    def text(self) -> str:
        than = self.others[0] if len(self.others) == 1 else f"the better of {' and '.join(self.others)}"
        return f"{self.cell.name}: {self.arm}, {FIGURE_NAMES[self.figure]} against {than}"

    @property
    def bound(self) -> str:
        return f"{'at least' if self.figure in MORE_IS_BETTER else 'at most'} {self.limit:g}"

    def judge(self, results: Results) -> tuple[Verdict, Spread | None]:
        """By the median of the rounds' ratios; where a rate has to be lossless, it is only met without loss in any round."""
        ratio = results.ratio(self.arm, self.others, self.cell, self.figure)
        if self.figure in MORE_IS_BETTER:
            ours = results.spread(self.arm, self.cell, "lost")
            theirs = [results.spread(other, self.cell, "lost") for other in self.others]
            if ours is None or not any(theirs):
                return "not measured", None
            met = ours.high == 0 and (ratio is None or ratio.median >= self.limit)
        elif ratio is None:
            return "not measured", None
        else:
            met = ratio.median <= self.limit
        return ("met" if met else "missed"), ratio


def _all() -> Iterator[Target]:
    for rate in (50, 1000):
        small = cell(KB, rate)
        for arm, raw in RAW.items():
            yield Target(arm, (raw,), small, "p50_us", 1.3)
            yield Target(arm, (raw,), small, "cpu_us", 1.5)
            for peer in (DORA, ("ezmsg",), ("Redis pub/sub",)):
                yield Target(arm, peer, small, "p50_us", 0.5)
    for rate in (50, 1000):
        yield Target(STREAM, ("dora",), cell(KB, rate, hops=3), "p50_us", 0.5)
    for arm in RAW:
        yield Target(arm, ("dora", "ezmsg"), cell(8 * MB, 50), "p50_us", 0.8)
    yield Target(QUEUE, DORA, cell(KB, 0), "lossless_per_second", 1.5)


TARGETS: tuple[Target, ...] = tuple(_all())


def compared() -> dict[Cell, list[str]]:
    """The cells that the targets need, each with its arms."""
    needed: dict[Cell, list[str]] = {}
    for target in TARGETS:
        arms = needed.setdefault(target.cell, [])
        arms += [arm for arm in (target.arm, *target.others) if arm not in arms]
    return needed


def judged(results: Results, targets: Sequence[Target] = TARGETS) -> list[tuple[Target, Verdict, Spread | None]]:
    """Every target whose cell was run at all."""
    keys = {one.key for one in results.cells}
    return [(target, *target.judge(results)) for target in targets if target.cell.key in keys]
