"""Histories of what is heard and when, with a clock that is handed in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph.inbox import Quiet
from graph.plan import Edge
from graph.silence import Silence

S = 1_000_000_000
WATCHED = Edge("a", "out", "dst", "x", input_timeout_s=2)
OTHER = Edge("b", "out", "dst", "y", input_timeout_s=5)
FREE = Edge("c", "out", "dst", "z")


def fallen(silence: Silence, at_s: float) -> list[Quiet]:
    return [quiet for _, quiet in silence.fallen(int(at_s * S))]


def test_silence_counts_from_the_start_and_is_told_once() -> None:
    silence = Silence([WATCHED, OTHER, FREE])
    assert silence.watches
    assert fallen(silence, 1000) == [], "before the graph runs nothing is expected"
    silence.begin(1000 * S)
    assert fallen(silence, 1001.9) == []
    assert fallen(silence, 1002) == [Quiet("x", silent=True)]
    assert fallen(silence, 1004) == []
    assert fallen(silence, 1005) == [Quiet("y", silent=True)]
    assert silence.heard(WATCHED.id, 1006 * S) == Quiet("x", silent=False)
    assert silence.heard(WATCHED.id, 1007 * S) is None
    assert fallen(silence, 1008.9) == []
    assert fallen(silence, 1009) == [Quiet("x", silent=True)]


def test_what_has_ended_is_not_missed() -> None:
    silence = Silence([WATCHED])
    silence.begin(0)
    silence.ended(WATCHED.id)
    assert fallen(silence, 100) == []
    assert silence.heard(WATCHED.id, 101 * S) is None


def test_an_input_without_a_timeout_is_not_watched() -> None:
    silence = Silence([FREE])
    silence.begin(0)
    assert not silence.watches
    assert silence.heard(FREE.id, S) is None
    assert fallen(silence, 100) == []


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.booleans()), max_size=40))
def test_silent_and_back_take_turns(steps: list[tuple[int, bool]]) -> None:
    """Whatever the times: a silence is told when nothing came for two seconds, and its end with the next message."""
    silence = Silence([WATCHED])
    silence.begin(0)
    now = heard = 0
    told: list[bool] = []
    for wait, message in steps:
        now += wait
        if message:
            back = silence.heard(WATCHED.id, now)
            assert (back is not None) == (bool(told) and told[-1])
            told += [False] if back is not None else []
            heard = now
        else:
            new = [quiet.silent for _, quiet in silence.fallen(now)]
            assert new == ([True] if now - heard >= 2 * S and not (told and told[-1]) else [])
            told += new
    assert told == [k % 2 == 0 for k in range(len(told))]
