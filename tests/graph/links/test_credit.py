"""A taker that holds acknowledgements back never waits for more than its producer gives it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.links.counts import Counts, Index
from graph.links.dealer import Dealer
from graph.links.taking import TakerLane
from graph.plan import Edge


@pytest.mark.parametrize(("when_full", "part"), [("block", 2), ("drop_oldest", 8)])
@given(depth=st.integers(1, 1000), jobs_us=st.lists(st.integers(0, 10_000_000), max_size=60))
def test_both_ends_make_the_same_of_a_taker_s_words(when_full: str, part: int, depth: int, jobs_us: list[int]) -> None:
    edge = Edge("src", "out", "dst", "x", link="queue", depth=depth, when_full=when_full)  # type: ignore[arg-type]
    dealer = Dealer(edge, ["dst"])
    dealer.hello("dst", 0)
    cells = Counts.in_memory(Index(lanes=[(edge.id, "src")])).lanes[edge.id, "src"]
    taker = TakerLane(edge.id, "src", None, cells, False, False, depth, depth, part)  # type: ignore[arg-type]
    taker.reckon(0)
    for freed, busy_us in enumerate(jobs_us, 1):
        assert 1 <= taker.batch <= dealer.lanes["dst"].window
        assert dealer.deal_at_once() is not None
        dealer.acknowledged("dst", 0, freed, [], busy_us)
        taker.reckon(busy_us)
    assert 1 <= taker.batch <= max(1, dealer.lanes["dst"].window // part)
