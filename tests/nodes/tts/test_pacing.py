"""When a clause is begun: in time, and no sooner than must be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.tts.clauses import LONGEST
from nodes.tts.pacing import DEARER, LEAST, MARGIN_NS, NEWEST, Pacing

MS_NS = 1_000_000
AUDIO_NS = 65 * MS_NS  # of a letter

letters = st.integers(1, LONGEST)
costs = st.integers(0, 10_000 * MS_NS)


def taught(*clauses: tuple[int, int]) -> Pacing:
    """A pacing that knows clauses of so many letters and ms."""
    pacing = Pacing()
    for length, cost_ms in clauses:
        pacing.learn(length, cost_ms * MS_NS)
    return pacing


def test_what_a_clause_costs_is_known_after_a_few() -> None:
    pacing = Pacing()
    for length in (20, 40, 60):
        assert pacing.cost_ns(30) is None
        assert pacing.begins_ns(30, 10**12) == 0, "at once"
        pacing.learn(length, (50 + 3 * length) * MS_NS)
    assert [pacing.cost_ns(length) for length in (1, 30, 60)] == [ms * MS_NS for ms in (53, 140, 230)]
    assert pacing.cost_ns(120) == 460 * MS_NS, "longer than any so far: in proportion"
    longest_ns = pacing.cost_ns(LONGEST)
    assert longest_ns is not None
    assert pacing.begins_ns(30, 10**12) == 10**12 - DEARER * (140 * MS_NS + longest_ns) - MARGIN_NS


@pytest.mark.parametrize(
    ("clauses", "cost_ms"),
    [
        ([(20, 100), (40, 200), (60, 300), (30, 2150)], 2200),  # one that took 2 s too long: the line is as steep, and above it
        ([(20, 100), (20, 120), (20, 80)], 240),  # of one length: in proportion
        ([(20, 300), (40, 200), (50, 100)], 300),  # longer ones are not cheaper
        ([(10, 0), (20, 10), (40, 100)], 100),  # nor does any cost less than nothing
    ],
)
def test_strange_clauses(clauses: list[tuple[int, int]], cost_ms: int) -> None:
    cost_ns = taught(*clauses).cost_ns(40)
    assert cost_ns is not None
    assert cost_ns // MS_NS == cost_ms
    assert taught(*clauses).cost_ns(1) >= 0  # type: ignore[operator]


def test_what_was_long_ago_does_not_count() -> None:
    pacing = taught((10, 9000), *[(length, length) for length in range(1, NEWEST + 1)])
    assert pacing.cost_ns(10) == 10 * MS_NS


@settings(deadline=None)
@given(st.lists(st.tuples(letters, costs)), letters, st.integers(0, 10**12), st.integers(1, 9))
def test_never_later_than_the_cost_and_the_margin_before_the_audio_runs_out(
    clauses: list[tuple[int, int]], length: int, runs_out_ns: int, speaking: int
) -> None:
    pacing = Pacing()
    for known in clauses:
        pacing.learn(*known)
    cost_ns = pacing.cost_ns(length)
    begins_ns = pacing.begins_ns(length, runs_out_ns, speaking)
    if cost_ns is None:
        assert len(clauses) < LEAST
        assert begins_ns == 0
        return
    assert 0 <= begins_ns <= max(0, runs_out_ns - cost_ns - MARGIN_NS)
    assert begins_ns >= pacing.begins_ns(length, runs_out_ns, speaking + 1), "others may go first"
    newest = [cost for known, cost in clauses[-NEWEST:] if known <= length]
    assert cost_ns >= max(newest, default=0) - 1, "no cheaper than a shorter one was"


@dataclass
class Heard:
    """What came of a reply: how long nothing was heard in its middle, and how much audio lay ready at most, in ns."""

    silent_ns: int = 0
    ahead_ns: int = 0


def spoken(lengths: list[int], pacing: Pacing | None, base_ms: int, letter_ms: int) -> Heard:
    """A reply whose text is there from the beginning; without a pacing each clause is begun when the last is done."""
    heard, now_ns, runs_out_ns = Heard(), 0, 0
    for length in lengths:
        cost_ns = (base_ms + letter_ms * length) * MS_NS
        if pacing is not None:
            now_ns = max(now_ns, pacing.begins_ns(length, runs_out_ns))
            pacing.learn(length, cost_ns)
        now_ns += cost_ns
        if runs_out_ns:
            heard.silent_ns += max(0, now_ns - runs_out_ns)
        runs_out_ns = max(now_ns, runs_out_ns) + length * AUDIO_NS
        heard.ahead_ns = max(heard.ahead_ns, runs_out_ns - now_ns)
    return heard


@settings(deadline=None)
@given(st.lists(letters), st.integers(0, 500), st.integers(0, 200))
def test_whoever_waits_is_heard_as_if_he_had_not(lengths: list[int], base_ms: int, letter_ms: int) -> None:
    at_once, paced = (spoken(lengths, pacing, base_ms, letter_ms) for pacing in (None, Pacing()))
    assert paced.silent_ns == at_once.silent_ns
    assert paced.ahead_ns <= at_once.ahead_ns


def test_a_fast_voice_has_little_ready() -> None:
    lengths = [30] * 40
    assert spoken(lengths, None, 50, 8).ahead_ns > 60e9
    assert spoken(lengths, Pacing(), 50, 8).ahead_ns < 8e9
