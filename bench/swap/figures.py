"""What the records of a run with swaps say: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.recover.figures import Record


@dataclass(frozen=True)
class Swapped:
    """Of one run; times in seconds."""

    gaps_s: list[float]  # the longest pause at the consumer around each swap
    took_s: list[float]  # from the order to the word that it is done
    lost: int  # of all that was sent between the first and the last message heard
    doubled: int
    overtaken: int
    memory: int  # bytes, of all processes at worst


def swapped(records: Sequence[Record], swaps: Sequence[tuple[int, int]], until_ns: int, memory: int) -> Swapped:
    """:param swaps: (ordered, done), monotonic ns; a swap's pauses count until the next is ordered."""
    numbers = Counter(number for number, _, _ in records)
    times = sorted(heard for _, _, heard in records)
    ends = [ordered for ordered, _ in swaps[1:]] + [until_ns]
    gaps = []
    for (ordered, _), end in zip(swaps, ends, strict=True):
        around = [k for k, heard in enumerate(times) if ordered <= heard <= end and k]
        gaps.append(max((times[k] - times[k - 1] for k in around), default=end - ordered) / 1e9)
    in_order = [number for number, _, _ in sorted(records, key=lambda record: record[2])]
    return Swapped(
        gaps_s=gaps,
        took_s=[(done - ordered) / 1e9 for ordered, done in swaps],
        lost=max(numbers) + 1 - min(numbers) - len(numbers),
        doubled=sum(numbers.values()) - len(numbers),
        overtaken=sum(after < before for before, after in pairwise(in_order)),
        memory=memory,
    )
