"""Whatever takers do, in whatever order: the dealer against a model that follows every message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from graph.links.dealer import WINDOW_MAX, Dealer, Lane, Parcel
from graph.message import PROTOCOL, Header
from graph.plan import Edge

from .ends import Number

SESSIONS = ["anna", "ben", "cleo"]
TURNS = st.tuples(st.integers(0, 2), st.integers(0, 1))  # with their revisions
picks = st.integers(0, 2**16)


@dataclass
class Taker:
    """What a taker process would know of its lane."""

    name: str
    life: int = -1
    present: bool = False
    dealt: list[int] = field(default_factory=list)  # messages of this life, by sequence number
    in_hand: int | None = None
    freed: set[int] = field(default_factory=set)
    counted: int = 0
    done: set[int] = field(default_factory=set)  # told or not
    told_freed: int = 0
    told_done: set[int] = field(default_factory=set)

    @property
    def outstanding(self) -> int:
        return len(self.dealt) - self.told_freed

    @property
    def untouched(self) -> list[int]:
        return [seq for seq in range(len(self.dealt)) if seq not in self.freed and seq != self.in_hand]


class Dealing(RuleBasedStateMachine):
    @initialize(
        takers=st.integers(1, 4),
        depth=st.integers(1, 12),
        delivery=st.sampled_from(["at_most_once", "at_least_once"]),
        order=st.sampled_from(["none", "session"]),
        when_full=st.sampled_from(["block", "drop_oldest", "drop_newest"]),
        give_up_after=st.integers(1, 3),
    )
    def begin_graph(self, takers: int, **edge: Any) -> None:
        self.edge = Edge("src", "out", "dst", "x", link="queue", **edge)
        self.takers = {f"dst.{k}": Taker(f"dst.{k}") for k in range(takers)}
        self.dealer = Dealer(self.edge, list(self.takers))
        self.keeps = self.edge.delivery == "at_least_once"
        self.ordered = self.edge.order == "session"
        self.tracks = self.keeps or self.ordered
        self.session: dict[int, str] = {}
        self.turn: dict[int, tuple[int, int]] = {}
        self.stale: set[int] = set()
        self.waiting: list[int] = []
        self.kills: dict[int, int] = {}
        self.ended: dict[int, str] = {}  # messages that are done, dropped, lost or set aside
        self.plain_done = self.plain_lost = 0  # where single messages are not followed

    def taker(self, pick: int, present: bool = True) -> Taker | None:
        of_that_kind = [t for t in self.takers.values() if t.present == present]
        return of_that_kind[pick % len(of_that_kind)] if of_that_kind else None

    def held(self, taker: Taker) -> list[int]:
        """Messages a taker has, or that are kept for it."""
        over = taker.told_done if self.tracks else set(range(taker.told_freed))
        return [n for seq, n in enumerate(taker.dealt) if seq not in over]

    # ---------------------------------------------------------------- the producer

    @rule(session=st.sampled_from(SESSIONS), at_once=st.booleans(), turn=TURNS)
    def put(self, session: str, at_once: bool, turn: tuple[int, int]) -> None:
        full = self.dealer.full
        assert full == (self.unfinished >= self.edge.depth)
        if full and self.edge.when_full == "block":
            return
        n = len(self.session)
        self.session[n], self.turn[n] = session, turn
        header = Header(PROTOCOL, "test.number", "out", "src", 0, session, *turn)
        parcel = Parcel(header, Number(n), b"")
        lane = self.dealer.deal_at_once() if at_once else None
        if lane is not None:
            assert not full
            self.waiting.append(n)
            self._check(lane, n, lane.sent - 1)
            self.waiting.remove(n)
            self.takers[lane.taker].dealt.append(n)
            return
        gone = self.dealer.put(parcel)
        if not full:
            assert gone is None
            self.waiting.append(n)
        elif self.edge.when_full == "drop_newest" or not self.waiting:
            assert gone is parcel
            self.ended[n] = "dropped"
        else:
            oldest = self.waiting.pop(0)
            assert gone is not None
            assert number(gone) == oldest
            self.ended[oldest] = "dropped"
            self.waiting.append(n)

    @rule()
    def deal(self) -> None:
        for lane, parcel, seq in self.dealer.deal():
            self._check(lane, number(parcel), seq)
            self.waiting.remove(number(parcel))
            self.takers[lane.taker].dealt.append(number(parcel))
        free = [t for t in self.takers.values() if t.present and t.outstanding < self.dealer.lanes[t.name].window]
        if free and self.waiting:
            assert self.ordered, "somebody is free, and something waits"
            assert {self.session[n] for n in self.waiting} <= {
                self.session[n] for t in self.takers.values() for n in self.held(t)
            }

    @rule(session=st.sampled_from(SESSIONS), turn=TURNS)
    def withdraw(self, session: str, turn: tuple[int, int]) -> None:
        """Turn 0 is none, and never stale."""
        older = {n for n in self.session if self.session[n] == session and (0, 9) < self.turn[n] < turn}
        waited = [n for n in self.waiting if n in older]
        assert list(map(number, self.dealer.withdraw(session, turn))) == waited
        self.waiting = [n for n in self.waiting if n not in older]
        self.ended.update(dict.fromkeys(waited, "dropped"))
        if self.tracks:
            self.stale |= {n for taker in self.takers.values() for n in self.held(taker)} & older

    def _check(self, lane: Lane, n: int, seq: int) -> None:
        taker = self.takers[lane.taker]
        assert taker.present, "nobody deals to the dead"
        assert seq == len(taker.dealt)
        assert taker.outstanding < lane.window <= WINDOW_MAX
        owners = [t for t in self.takers.values() for m in self.held(t) if self.session[m] == self.session[n]]
        if self.ordered:
            assert all(t is taker for t in owners), "a session is with one taker at a time"
            assert n == min(m for m in self.waiting if self.session[m] == self.session[n])
        else:
            assert n == self.waiting[0]
        if taker.outstanding and not (self.ordered and owners):
            assert all(t.outstanding for t in self.takers.values() if t.present), "a busy one got it, and another was free"

    # ---------------------------------------------------------------- the takers

    @rule(pick=picks)
    def hello(self, pick: int) -> None:
        taker = self.taker(pick, present=False)
        if taker is not None:
            self.takers[taker.name] = Taker(taker.name, taker.life + 1, present=True)
            self.dealer.hello(taker.name, taker.life + 1)

    @rule(pick=picks, which=picks)
    def handle(self, pick: int, which: int) -> None:
        taker = self.taker(pick)
        if taker is not None and taker.in_hand is None and taker.untouched:
            taker.in_hand = taker.untouched[which % len(taker.untouched)]
            taker.counted += 1

    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        taker = self.taker(pick)
        if taker is not None and taker.in_hand is not None:
            self._freed(taker, taker.in_hand)
            taker.in_hand = None

    @rule(pick=picks, which=picks)
    def let_go(self, pick: int, which: int) -> None:
        """It became stale: also out of its order."""
        taker = self.taker(pick)
        if taker is not None and taker.untouched:
            taker.counted += 1
            self._freed(taker, taker.untouched[which % len(taker.untouched)])

    def _freed(self, taker: Taker, seq: int) -> None:
        taker.freed.add(seq)
        if not self.keeps:
            taker.done.add(seq)

    @precondition(lambda self: self.keeps)
    @rule(pick=picks, which=picks)
    def effects_are_acknowledged(self, pick: int, which: int) -> None:
        taker = self.taker(pick)
        if taker is not None and taker.freed - taker.done:
            kept = sorted(taker.freed - taker.done)
            taker.done.add(kept[which % len(kept)])

    @rule(pick=picks, busy_us=st.sampled_from([0, 10, 200, 5000]))
    def acknowledge(self, pick: int, busy_us: int) -> None:
        taker = self.taker(pick)
        if taker is None:
            return
        new = taker.done - taker.told_done if self.tracks else set()
        gone = self.dealer.acknowledged(taker.name, taker.life, len(taker.freed), sorted(new), busy_us)
        assert sorted(map(number, gone)) == sorted(taker.dealt[seq] for seq in new)
        self.ended.update((taker.dealt[seq], "done") for seq in new)
        self.plain_done += len(taker.freed) - taker.told_freed
        taker.told_freed, taker.told_done = len(taker.freed), taker.told_done | new

    @rule(pick=picks, known=st.booleans())
    def die(self, pick: int, known: bool) -> None:
        taker = self.taker(pick)
        if taker is None:
            return
        in_hand = -1 if taker.in_hand is None else taker.in_hand
        held = self.held(taker)
        lost, again, aside, stale = self.dealer.died(taker.name, *((taker.counted, in_hand) if known else ()))
        taker.present = False
        if self.keeps:
            counted = taker.counted if known else taker.told_freed
            assert lost == sum(n in self.stale for n in taker.dealt[counted:]), "the dead counted the others"
            withdrawn = [n for n in held if n in self.stale]
            assert sorted(map(number, stale)) == sorted(withdrawn), "nobody else is given it"
            self.ended.update(dict.fromkeys(withdrawn, "stale"))
            held = [n for n in held if n not in self.stale]
            self._blame(taker, held, in_hand if known else None)
            given_up = [n for n in held if self.kills.get(n, 0) >= self.edge.give_up_after]
            assert sorted(map(number, aside)) == sorted(given_up)
            assert sorted(map(number, again)) == sorted(set(held) - set(given_up))
            assert all(p.takers and len(p.takers) == p.kills for p in aside)
            self.ended.update(dict.fromkeys(given_up, "aside"))
            self.waiting = sorted([*self.waiting, *(set(held) - set(given_up))])
        else:
            assert (again, aside, stale) == ([], [], [])
            counted = taker.counted if known else taker.told_freed
            assert lost == len(taker.dealt) - counted
            self.plain_lost += lost
            self.plain_done += counted - taker.told_freed
            self.ended.update(dict.fromkeys(held, "lost or done"))
        taker.dealt, taker.in_hand, taker.freed, taker.told_freed = [], None, set(), 0

    def _blame(self, taker: Taker, held: list[int], in_hand: int | None) -> None:
        """The message in hand; where nobody knows which it was, all that may have been."""
        for seq, n in enumerate(taker.dealt):
            if n in held and (seq == in_hand or (in_hand is None and seq >= taker.told_freed)):
                self.kills[n] = self.kills.get(n, 0) + 1

    # ---------------------------------------------------------------- those who do not belong here

    @rule(
        pick=picks,
        strange=st.sampled_from(["nobody", "former life", "next life", "too many", "too few"]),
        freed=st.integers(0, 20),
        done=st.lists(st.integers(0, 20)),
    )
    def nonsense(self, pick: int, strange: str, freed: int, done: list[int]) -> None:
        taker = self.taker(pick) or next(iter(self.takers.values()))
        name, life = taker.name, taker.life
        if strange == "nobody":
            name = "stranger"
        elif strange == "former life":
            life -= 1
        elif strange == "next life":
            life += 1
        elif strange == "too many":
            freed += len(taker.dealt) + 1
        elif taker.told_freed:
            freed = taker.told_freed - 1
        else:
            return
        before = self.picture()
        assert self.dealer.acknowledged(name, life, freed, done) == []
        assert self.picture() == before

    def picture(self) -> Any:
        lanes = [(x.life, x.sent, x.freed, x.window, dict(x.held)) for x in self.dealer.lanes.values()]
        return self.dealer.depth, self.dealer.waiting, lanes

    # ---------------------------------------------------------------- what holds at any time

    @property
    def unfinished(self) -> int:
        return len(self.waiting) + sum(len(self.held(t)) for t in self.takers.values())

    @invariant()
    def nothing_is_lost_and_all_is_bounded(self) -> None:
        assert self.dealer.depth == self.unfinished <= self.edge.depth
        assert self.dealer.waiting == len(self.waiting)
        assert self.dealer.greeted == all(t.present for t in self.takers.values())
        dropped = sum(how == "dropped" for how in self.ended.values())
        if self.keeps:
            assert len(self.session) == len(self.ended) + self.unfinished
        else:
            assert len(self.session) == self.plain_done + dropped + self.plain_lost + self.unfinished
        at_takers = [n for t in self.takers.values() for n in self.held(t)]
        assert len(set(at_takers)) == len(at_takers), "dealt twice at a time"
        assert self.dealer.settled == (not self.waiting and not (self.keeps and self.unfinished))


def number(parcel: Parcel) -> int:
    body = parcel.body
    assert isinstance(body, Number)
    return body.n


TestDealing = Dealing.TestCase
TestDealing.settings = settings(max_examples=400, stateful_step_count=60, deadline=None)
