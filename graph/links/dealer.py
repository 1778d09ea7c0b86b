"""Who gets which message of a queue: pure, no socket and no clock. `queue.py` does what it decides.

    put -> waiting -> dealt to a lane (in hand) -> freed (the taker may have another) -> done (nobody needs it any more)
                ^------------------------ the taker died

On a plain queue freed is done. On an at_least_once queue a message is kept until it is done, and dealt again when its
taker dies before; one that was in the hands of `give_up_after` dying takers is set aside instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from graph.message import Header, Kind
from graph.plan import Edge

if TYPE_CHECKING:
    from graph.links.receipts import Receipt

WINDOW_MAX = 64  # unfinished messages a taker may hold, when its jobs are short (decision 6)
WORK_US = 1_000  # one of several may hold about so much work: a busy taker is spared when a free one is there
LONE_WORK_US = 128_000  # and a lone one so much: what is lost with it, where messages are not kept


def slowest_now(slowest_us: int, busy_us: int) -> int:
    """What a taker's longest job lately took, after an acknowledgement that tells of one of `busy_us`.

    The taker reckons it too: it must not hold back acknowledgements for more than half of a window that has become small.
    """
    return max(busy_us, slowest_us * 7 // 8)


def window_for(slowest_us: int, work_us: int, depth: int) -> int:
    """Messages that a taker of such jobs may hold, so that it has about `work_us` of work in hand."""
    return min(max(1, work_us // max(1, slowest_us)), WINDOW_MAX, depth)


class Parcel(msgspec.Struct, eq=False):
    """A message that its producer answers for."""

    header: Header
    body: Kind
    payload: bytes | memoryview
    order: int = 0  # the how-manieth of its queue
    kills: int = 0  # takers that died with it in hand
    receipt: Receipt | None = None  # of the message whose effect this is
    takers: list[str] = []  # who died with it
    stale: bool = False  # nobody wants it any more


@dataclass(slots=True, eq=False)
class Lane:
    """One producer instance to one taker of one edge."""

    taker: str
    window: int
    slowest_us: int  # what its longest job lately took; falls by an eighth with each acknowledgement
    life: int = -1  # of the taker; -1: it has not said hello
    sent: int = 0
    freed: int = 0
    held: dict[int, Parcel] = field(default_factory=dict)  # by sequence number; only where they are tracked

    @property
    def outstanding(self) -> int:
        return self.sent - self.freed


class Dealer:
    """The producer's end of one queue edge. Takers may come (`join`) and go (`close`, `remove`) at any time."""

    def __init__(self, edge: Edge, takers: Sequence[str]) -> None:
        self.adjust(edge)
        self._keeps = edge.delivery == "at_least_once"
        self._ordered = edge.order == "session"
        self._tracks = self._keeps or self._ordered
        self._waiting: deque[Parcel] = deque()
        self._unfinished = 0  # waiting, in hand, or kept
        self._put = 0
        self._absent: set[str] = set()  # takers that nobody waits for
        self._coming: set[str] = set()  # takers that have joined and not said hello yet
        self._closing: set[str] = set()  # takers that are given nothing more
        self._ahead: Lane | None = None  # a lone taker that leaves: its successor waits until it has finished
        self._pinned: dict[str, tuple[Lane, int]] = {}  # by session: who has work of it, and how many
        self.lanes: dict[str, Lane] = {}
        self._all: list[Lane] = []  # those that may be given messages
        self.deserted = True  # there is no taker, and none is waited for
        for taker in takers:
            self.lanes[taker] = Lane(taker, 1, 0)
        self._regroup()
        for lane in self.lanes.values():
            lane.window, lane.slowest_us = self._guess

    def adjust(self, edge: Edge) -> None:
        """What may change while messages flow."""
        self._depth = edge.depth
        self._when_full = edge.when_full
        self._give_up_after = edge.give_up_after

    def _regroup(self) -> None:
        """Who may be given messages has changed."""
        if self._ahead is not None and not self._ahead.outstanding:
            self._ahead = None
        staying = [lane for taker, lane in self.lanes.items() if taker not in self._closing]
        self._all = [] if self._ahead is not None else staying
        self.deserted = all(lane.taker in self._absent for lane in staying)
        lone = len(staying) == 1
        self._work_us = LONE_WORK_US if lone else WORK_US
        # What is supposed before anything is known of its jobs: that a lone taker's are short, that others' are long.
        self._guess = (min(self._depth, WINDOW_MAX), 0) if lone else (1, WORK_US)

    def join(self, taker: str) -> None:
        """A taker is expected; it is given messages from its hello on."""
        if taker not in self.lanes:
            self.lanes[taker] = Lane(taker, 1, 0)
            self._coming.add(taker)
            self._regroup()
            for lane in self._all:  # all begin alike, or those whose jobs are known to be short would get everything
                lane.window, lane.slowest_us = self._guess

    def close(self, takers: Collection[str]) -> None:
        """These takers are given nothing more. Where the only one leaves for another, the order of messages is kept: the
        other gets nothing before the first has finished."""
        leaving = [taker for taker in takers if taker in self.lanes and taker not in self._closing]
        staying = self.lanes.keys() - self._closing - set(leaving)
        if len(leaving) == len(staying) == 1 and not self._ordered:
            self._ahead = self.lanes[leaving[0]]
        self._closing.update(leaving)
        self._regroup()

    @property
    def emptied(self) -> list[str]:
        """Takers that were closed and have nothing left."""
        return [taker for taker in self._closing if not (self.lanes[taker].outstanding or self.lanes[taker].held)]

    def remove(self, taker: str) -> None:
        """A taker has gone and will not come back; call `died` first if it was there and had work."""
        if self.lanes.pop(taker, None) is not None:
            self._closing.discard(taker)
            self._absent.discard(taker)
            self._coming.discard(taker)
            self._regroup()

    @property
    def depth(self) -> int:
        """Messages that are neither done nor dropped."""
        return self._unfinished

    @property
    def full(self) -> bool:
        return self._unfinished >= self._depth

    @property
    def waiting(self) -> int:
        """Messages that nobody has been given yet."""
        return len(self._waiting)

    @property
    def settled(self) -> bool:
        """True when the producer may go: every message has been dealt, and none is kept for its taker's death."""
        return not self._waiting and not (self._keeps and self._unfinished)

    @property
    def greeted(self) -> bool:
        """True once every taker has said hello that is waited for."""
        others = self._absent | self._closing | self._coming
        return all(lane.life >= 0 or taker in others for taker, lane in self.lanes.items())

    def leave_out(self, taker: str) -> None:
        """A taker has failed or was stopped; call `died` first if it was there."""
        if taker in self.lanes:
            self._absent.add(taker)
            self._regroup()

    def expect(self, taker: str) -> None:
        """A taker that was left out is started again."""
        self._absent.discard(taker)
        self._regroup()

    def give_up(self) -> list[Parcel]:
        """Nobody will take what waits: hand it back."""
        given, self._waiting = list(self._waiting), deque()
        self._unfinished -= len(given)
        return given

    def put(self, parcel: Parcel) -> Parcel | None:
        """Take a message over; call only when not `full`, or when something may be dropped.

        :returns: the message that had to give way: this one, or the oldest that waits.
        """
        gone = None
        if self.full:
            if self._when_full == "drop_newest" or not self._waiting:
                return parcel
            gone = self._waiting.popleft()
            self._unfinished -= 1
        parcel.order = self._put
        self._put += 1
        self._unfinished += 1
        self._waiting.append(parcel)
        return gone

    def withdraw(self, session: str, turn: tuple[int, int]) -> list[Parcel]:
        """A session's messages of older turns are stale: what takers have of them is not given to another.

        :param turn: turn and revision.
        :returns: those that nobody has been given; they are handed back.
        """

        def older(parcel: Parcel) -> bool:
            header = parcel.header
            return header.session == session and header.turn > 0 and (header.turn, header.revision) < turn

        for lane in self.lanes.values():
            for parcel in filter(older, lane.held.values()):
                parcel.stale = True
        gone = [parcel for parcel in self._waiting if older(parcel)]
        if gone:
            self._waiting = deque(parcel for parcel in self._waiting if not older(parcel))
            self._unfinished -= len(gone)
        return gone

    def deal_at_once(self) -> Lane | None:
        """Put and deal a message in one step, where it need not be kept, nothing waits, and a taker is free.

        None otherwise, and nothing has happened. Its sequence number is one less than what the lane has been sent.
        """
        if self._waiting or self._tracks or self._unfinished >= self._depth:
            return None
        lane = self._freest()
        if lane is not None:
            self._dealt(lane)
            self._put += 1
            self._unfinished += 1
        return lane

    def _dealt(self, lane: Lane) -> None:
        lane.sent += 1
        if len(self._all) > 1:  # of equals the one that got nothing for longest comes first
            self._all.remove(lane)
            self._all.append(lane)

    def deal(self) -> Iterator[tuple[Lane, Parcel, int]]:
        """Assign what can be assigned: (lane, message, its sequence number there)."""
        while self._waiting:
            lane = self._freest()
            if lane is None:
                return
            if self._ordered:
                chosen = self._next_in_order(lane)
                if chosen is None:
                    return
                lane, parcel = chosen
            else:
                parcel = self._waiting.popleft()
            seq = lane.sent
            self._dealt(lane)
            if self._tracks:
                lane.held[seq] = parcel
            yield lane, parcel, seq

    def _freest(self) -> Lane | None:
        if len(self._all) == 1:
            lane = self._all[0]
        else:
            present = [one for one in self._all if one.life >= 0]
            if not present:
                return None
            lane = min(present, key=lambda one: one.outstanding / one.window)
        return lane if lane.life >= 0 and lane.sent - lane.freed < lane.window else None

    def _next_in_order(self, freest: Lane) -> tuple[Lane, Parcel] | None:
        """The oldest message whose session is free to go, and where it goes: to whoever has work of the session, else
        to the least busy."""
        held_up = set()
        for index, parcel in enumerate(self._waiting):
            session = parcel.header.session
            if session in held_up:
                continue
            lane, count = self._pinned.get(session, (freest, 0))
            if lane.life < 0 or lane.outstanding >= lane.window or lane.taker in self._closing:
                held_up.add(session)
                continue
            del self._waiting[index]
            self._pinned[session] = (lane, count + 1)
            return lane, parcel
        return None

    def acknowledged(self, taker: str, life: int, freed: int, done: Iterable[int], busy_us: int = 0) -> list[Parcel]:
        """A taker has finished `freed` messages of its lane in all; those `done` need not be kept any longer.

        `busy_us` is what the longest of those freed since its last word took it.

        :returns: the messages that are done, where they are tracked.
        """
        lane = self.lanes.get(taker)
        if lane is None or lane.life != life or not lane.freed <= freed <= lane.sent:
            return []  # not of this lane: late words of a former life, or nonsense
        if freed > lane.freed:
            lane.slowest_us = slowest_now(lane.slowest_us, busy_us)
            lane.window = window_for(lane.slowest_us, self._work_us, self._depth)
        if not self._tracks:
            self._unfinished -= freed - lane.freed
            lane.freed = freed
            done = ()
        lane.freed = freed
        if lane is self._ahead:
            self._regroup()
        return [parcel for seq in done if (parcel := self._finish(lane, seq)) is not None]

    def _finish(self, lane: Lane, seq: int) -> Parcel | None:
        parcel = lane.held.pop(seq, None)
        if parcel is not None:
            self._unfinished -= 1
            self._unpin(parcel)
        return parcel

    def _unpin(self, parcel: Parcel) -> None:
        if not self._ordered:
            return
        session = parcel.header.session
        lane, count = self._pinned[session]
        if count > 1:
            self._pinned[session] = (lane, count - 1)
        else:
            del self._pinned[session]

    def hello(self, taker: str, life: int) -> None:
        """A taker is there; call `died` first when it is a new life of one that was."""
        lane = self.lanes.get(taker)
        if lane is not None:
            lane.life = life
            self._coming.discard(taker)

    def died(
        self, taker: str, counted: int | None = None, in_hand: int | None = None
    ) -> tuple[int, list[Parcel], list[Parcel], list[Parcel]]:
        """A taker died having counted so many messages of its lane as delivered or dropped, with one in hand (or none, -1).

        Where its counters could not be read (None), every message that it had not finished may have been in hand.
        Its lane starts anew, and waits for its next life's hello. What it held waits again, in its old place, where
        messages are kept; elsewhere it is lost.

        :returns: how many were lost that nobody counted, and those to send again, to set aside, and that are stale. Where
            messages are kept none is lost, and the number is that of the stale ones that the dead had not counted.
        """
        lane = self.lanes[taker]
        held, sent, freed, outstanding = list(lane.held.items()), lane.sent, lane.freed, lane.outstanding
        lane.life, lane.sent, lane.freed, lane.held = -1, 0, 0, {}
        lane.window, lane.slowest_us = self._guess
        if lane is self._ahead:
            self._regroup()
        for _, parcel in held:
            self._unpin(parcel)
        if not self._keeps:
            self._unfinished -= outstanding
            return max(0, sent - (freed if counted is None else counted)), [], [], []
        again: list[Parcel] = []
        aside: list[Parcel] = []
        stale = [parcel for _, parcel in held if parcel.stale]
        uncounted = sum(parcel.stale and seq >= (freed if counted is None else counted) for seq, parcel in held)
        for seq, parcel in held:
            if parcel.stale:
                continue
            if seq == in_hand or (in_hand is None and seq >= freed):
                parcel.kills += 1
                parcel.takers.append(taker)
            parcel.header.attempt += 1
            (aside if parcel.kills >= self._give_up_after else again).append(parcel)
        self._unfinished -= len(aside) + len(stale)
        if again:
            self._waiting = deque(sorted([*again, *self._waiting], key=lambda one: one.order))
        return uncounted, again, aside, stale
