"""What is made of the records of a run with swaps."""

from __future__ import annotations

from bench.swap.figures import swapped

MS = 1_000_000


def records(*heard_ms: tuple[int, int]) -> list[tuple[int, int, int]]:
    return [(number, 0, at * MS) for number, at in heard_ms]


def test_the_longest_pause_around_each_swap_counts() -> None:
    heard = records(
        *((n, n) for n in range(100)), *((n, n + 7) for n in range(100, 200)), *((n, n + 20) for n in range(200, 300))
    )
    found = swapped(heard, [(95 * MS, 110 * MS), (200 * MS, 230 * MS)], 400 * MS, memory=5)
    assert found.gaps_s == [0.008, 0.014]
    assert found.took_s == [0.015, 0.03]
    assert (found.lost, found.doubled, found.overtaken, found.memory) == (0, 0, 0, 5)


def test_what_is_lost_doubled_or_overtaken_is_told() -> None:
    found = swapped(records((0, 0), (1, 1), (1, 2), (5, 3), (4, 4)), [(0, MS)], 9 * MS, 0)
    assert (found.lost, found.doubled, found.overtaken) == (2, 1, 1)


def test_a_stream_that_has_ended_is_a_gap_to_the_end() -> None:
    assert swapped(records((0, 0), (1, 1)), [(5 * MS, 6 * MS)], 105 * MS, 0).gaps_s == [0.1]
