"""What the records of a run say: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Record: TypeAlias = tuple[int, int, int]  # number, sent, heard; monotonic ns


@dataclass(frozen=True)
class Gap:
    """How long a consumer heard nothing, and what it never heard of what was sent around it."""

    seconds: float
    lost: int


def gap_after(records: Sequence[Record], at_ns: int, until_ns: int) -> Gap | None:
    """The longest pause that was over by `until_ns` and not before `at_ns`, and the messages missing up to its end.

    None when nothing was heard after `at_ns`: the stream has ended.
    """
    times = [heard for _, _, heard in records]
    after = [k for k, heard in enumerate(times) if at_ns <= heard <= until_ns]
    if not after or after[0] == 0:
        return None
    pauses = [times[k] - times[k - 1] for k in after]
    numbers = {number for number, _, _ in records[: after[-1] + 1]}
    before = {number for number, _, heard in records if heard < at_ns}
    return Gap(max(pauses) / 1e9, max(numbers) + 1 - min(before) - len({n for n in numbers if n >= min(before)}))
