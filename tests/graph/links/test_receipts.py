"""at_least_once without a socket: whoever dies, in whatever order the wires are served, each effect happens once."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from graph.links.base import Taken
from graph.links.receipts import ORIGINS_REMEMBERED, Origin, Receipt, Receipts, effect
from graph.message import PROTOCOL, Cause, Header

from .chain import Chain

picks = st.integers(0, 2)


class Deaths(RuleBasedStateMachine):
    @initialize(workers=st.integers(1, 3), depth=st.integers(1, 12))
    def start(self, workers: int, depth: int) -> None:
        self.chain = Chain(workers, depth, repeatable=True)
        self.depth = depth

    def name(self, pick: int) -> str:
        return f"mid.{pick % len(self.chain.workers)}"

    @rule(session=st.sampled_from(["anna", "ben", "cleo"]), times=st.integers(1, 5))
    def say(self, session: str, times: int) -> None:
        for _ in range(times):
            self.chain.say(session)

    @rule(pick=picks, times=st.integers(1, 4))
    def arrive(self, pick: int, times: int) -> None:
        for _ in range(times):
            self.chain.arrive(self.name(pick))

    @rule(pick=picks, times=st.integers(1, 6))
    def work(self, pick: int, times: int) -> None:
        for _ in range(times):
            self.chain.work(self.name(pick))

    @rule(pick=picks, times=st.integers(1, 4))
    def sink_hears(self, pick: int, times: int) -> None:
        for _ in range(times):
            self.chain.sink_hears(self.name(pick))

    @rule()
    def sink_acknowledges(self) -> None:
        self.chain.sink_acknowledges()

    @rule(pick=picks)
    def worker_hears(self, pick: int) -> None:
        self.chain.worker_hears(self.name(pick))

    @rule(pick=picks)
    def worker_acknowledges(self, pick: int) -> None:
        self.chain.worker_acknowledges(self.name(pick))

    @rule(pick=picks)
    def src_hears(self, pick: int) -> None:
        self.chain.src_hears(self.name(pick))

    @rule(pick=picks, arrives=st.integers(0, 4), known=st.booleans())
    def die(self, pick: int, arrives: int, known: bool) -> None:
        self.chain.die(self.name(pick), arrives, known)

    @rule()
    def all_goes_well_for_a_while(self) -> None:
        self.chain.drain()

    @invariant()
    def each_effect_at_most_once_and_in_order(self) -> None:
        if not hasattr(self, "chain"):
            return
        chain = self.chain
        assert max(Counter(n for _, n in chain.effects).values(), default=1) == 1
        for session in ("anna", "ben", "cleo"):
            of_it = [n for s, n in chain.effects if s == session]
            assert of_it == sorted(of_it)
        open_now = chain.sent - chain.origin.floor
        for taker in (chain.sink, *(w.taker for w in chain.workers.values())):
            live = chain.sent - taker.receipts.floors.get("src~0", 0)
            assert taker.remembered <= 2 * max(live + 32, 2 * live), "two effects of a number at most; the rest is forgotten"
        assert len(chain.origin._open) <= self.depth
        assert open_now >= 0

    def teardown(self) -> None:
        if hasattr(self, "chain"):
            self.chain.drain()
            expected = [3 * n + k for n in range(self.chain.sent) for k in range(n % 3)]
            assert sorted(n for _, n in self.chain.effects) == expected
            assert self.chain.dealer.depth == 0, "all of it is acknowledged"
            assert self.chain.origin.floor == self.chain.sent
            assert all(w.dealer.depth == 0 for w in self.chain.workers.values())


TestDeaths = Deaths.TestCase
TestDeaths.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)


def taken(seq: int) -> Taken:
    return Taken("src", 0, "e", seq)


def caused(number: int, id: int = 0, run: int = 0, *, floor: int = 0, origin: str = "o", attempt: int = 0) -> Header:
    return Header(PROTOCOL, "k", "p", "src", 0, cause=Cause(origin, number, id, run), floor=floor, attempt=attempt)


def test_memory_stays_bounded_however_long_it_runs() -> None:
    receipts = Receipts(lambda receipt: None)
    worst = 0
    for n in range(20_000):
        receipt = receipts.take(caused(n, floor=max(0, n - 10)), taken(n))
        assert receipt is not None
        receipt.close_one()
        worst = max(worst, len(receipts))
    assert worst <= 2 * (10 + 32)
    for n in range(2 * ORIGINS_REMEMBERED):
        assert receipts.take(caused(0, origin=f"o{n}"), taken(n)) is not None
    assert len(receipts._origins) <= ORIGINS_REMEMBERED >= len(receipts.floors)


def test_what_is_below_the_floor_is_a_repeat_and_acknowledged() -> None:
    done: list[Receipt] = []
    receipts = Receipts(done.append)
    assert receipts.take(caused(100, floor=90), taken(0)) is not None
    assert receipts.take(caused(89), taken(1)) is None
    assert [r.copies for r in done] == [[taken(1)]]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_repeats_of_a_message_in_hand_are_acknowledged_with_it(extra: list[int]) -> None:
    done: list[Receipt] = []
    receipts = Receipts(done.append)
    first = receipts.take(caused(1), taken(0))
    assert first is not None
    for k, _ in enumerate(extra):
        assert receipts.take(caused(1), taken(k + 1)) is None
    assert not done
    first.close_one()
    assert [len(r.copies) for r in done] == [len(extra) + 1]
    assert receipts.take(caused(1), taken(99)) is None
    assert done[-1].copies == [taken(99)]


def test_a_later_run_replaces_an_earlier_one_and_an_earlier_one_is_discarded() -> None:
    receipts = Receipts(lambda receipt: None, repeatable=False)
    first = receipts.take(caused(1, run=0), taken(0))
    again = receipts.take(caused(1, run=3), taken(1))
    assert first is not None
    assert again is not None
    assert again.next_cause("e").run > first.next_cause("e").run
    assert receipts.take(caused(1, run=2), taken(2)) is None


@given(st.integers(0, 2**53 - 1), st.sampled_from(["a.b->c.d", "a.b->c.e"]), st.integers(0, 1000))
def test_effects_are_numbers_that_count_and_the_same_again(id: int, edge: str, k: int) -> None:
    assert effect(id, edge, k) == effect(id, edge, k) < 2**53
    assert effect(id, edge, k) != effect(id, edge, k + 1)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_the_floor_is_the_lowest_number_that_is_open(closes: list[int]) -> None:
    origin = Origin("o")
    open_now = [origin.begin(1) for _ in range(10)]
    for which in closes:
        if open_now:
            open_now.pop(which % len(open_now)).close_one()
        else:
            open_now.append(origin.begin(1))
        assert origin.floor == min((r.cause.number for r in open_now), default=origin._next)
