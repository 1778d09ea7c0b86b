"""Queues: PUSH/PULL with credit. Each message goes to one replica, and a producer that is too fast waits.

Each taker binds one PULL for its work; a producer holds one PUSH per taker and binds one PULL where takers say hello and
acknowledge. An acknowledgement is the credit: a taker holds at most a window of unfinished messages, and the producer
picks the taker with the fewest. (Plain PUSH deals to busy takers too: kernel buffers count bytes, not messages.)
This is the producer's end; the taker's is `taking.py`. What it decides stands in `dealer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import msgspec
import zmq

from graph.links.base import rebind, send, socket, waiting
from graph.links.counts import DEAD, DEPTH, DEPTH_MAX, DROPPED, RESENT, SENT, STALE, Cells, EdgeStatistics, statistics
from graph.links.dealer import Dealer, Lane, Parcel
from graph.links.payloads import PayloadsOut
from graph.links.receipts import Receipt
from graph.message import UNREADABLE, Count, Header, Kind, encode_header
from graph.plan import Edge, Instance

# first frames of what is no message
HELLO = b"hello"
END = b"end"

PULL_MARK = 1000  # messages; credit bounds what honest ends have on the way, and this what the others may pile up
CREDIT_BYTES = 1_000_000  # the longest notice a taker sends names `depth` numbers, a tenth of this


class Greeting(msgspec.Struct):
    """The first word on a lane, from its producer: whoever takes from it answers with a hello."""

    instance: str
    life: Count = 0


class QueueEnd(msgspec.Struct):
    """Travels behind the last message of a lane."""

    instance: str
    edge: str
    sent: Count
    life: Count = 0


class Hello(msgspec.Struct, tag="hello"):
    """A taker is there and bound."""

    taker: str
    life: Count = 0


class Ack(msgspec.Struct, tag="ack", omit_defaults=True):
    """What a taker has finished of a lane: the credit, and what need not be kept any longer."""

    taker: str
    edge: str
    freed: Count  # messages of this lane that it has finished in all
    life: Count = 0  # the taker's
    to: Count = 0  # the producer's life
    done: list[Count] = []  # sequence numbers; only where `delivery` is at_least_once or `order` is session
    busy_us: Count = 0  # what the longest of those freed since the last word took


_credits = msgspec.msgpack.Decoder(Hello | Ack)
_encode = msgspec.msgpack.Encoder().encode


class QueueOut:
    """The pushing end of one edge.

    `set_aside` is told of messages that killed too many takers.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        edge: Edge,
        producer: tuple[str, int],
        takers: Sequence[Instance],
        endpoints: Sequence[str],
        cells: Cells,
        payloads: PayloadsOut,
        set_aside: Callable[[Edge, list[Parcel]], None],
    ) -> None:
        self.edge = edge
        self.cells = cells
        self.keeps = edge.delivery == "at_least_once"
        self._context = context
        self._instance, self._life = producer
        self._payloads = payloads
        self._set_aside = set_aside
        self._edge_id = edge.id
        self._topic = edge.id.encode()
        self._endpoints = {taker.id: endpoint for taker, endpoint in zip(takers, endpoints, strict=True)}
        self._dealer = Dealer(edge, list(self._endpoints))
        self._sockets = {taker: self._connect(taker) for taker in self._endpoints}
        self._lives: dict[str, int] = {}  # of the takers, the newest known to have died
        self._closed: set[str] = set()  # takers that get nothing more, and have not been told so
        self.retired = False  # the link goes: it takes no more, and what it has is brought to its end
        self._ended = False
        self._abandoned = False  # no taker will ever come back

    def _connect(self, taker: str) -> zmq.Socket[bytes]:
        # No high-water mark: credit bounds what can be in it. libzmq learns late of what has left a pipe, so a mark
        # near the window would block the producer for ever behind a taker that died.
        push = socket(self._context, zmq.PUSH, 0)
        push.connect(self._endpoints[taker])
        send(push, HELLO, _encode(Greeting(self._instance, self._life)))
        return push

    @property
    def ready(self) -> bool:
        """True once every taker has said hello."""
        return self._dealer.greeted

    def statistics(self) -> EdgeStatistics:
        """What has been counted at this end of the edge."""
        return statistics(self.cells)

    @property
    def settled(self) -> bool:
        """True when every message has been handed to a taker and none is kept for the case that it dies."""
        return self._dealer.settled

    @property
    def finished(self) -> bool:
        """True when the takers are done with every message, as far as they have said."""
        return self._dealer.depth == 0

    @property
    def full(self) -> bool:
        """True when `depth` messages are neither done nor dropped."""
        return self._dealer.full

    def push(self, header: Header, body: Kind, payload: bytes | memoryview, receipt: Receipt | None = None) -> bool:
        """Hand a message to the least busy taker, or keep it until one is free.

        :param receipt: of the message whose effect this is, closed when this one is done.
        :returns: False when the queue is full and must block: deliver credits, then push again.
        """
        dealer, cells = self._dealer, self.cells
        if self.retired:  # since the message began to wait here
            if receipt is not None:
                receipt.close_one()
            return True
        if dealer.deserted and (self._abandoned or not self.keeps):
            self._answer_for([Parcel(header, body, payload, receipt=receipt)])
            cells[SENT] += 1
            return True
        if dealer.full and self.edge.when_full == "block":
            return False
        cells[SENT] += 1
        lane = dealer.deal_at_once()
        if lane is not None:
            self._send(lane, header, body, payload, lane.sent - 1)
        else:
            if dealer.put(Parcel(header, body, payload, receipt=receipt)) is not None:
                cells[DROPPED] += 1
            self._deal()
        cells[DEPTH] = depth = dealer.depth
        if depth > cells[DEPTH_MAX]:
            cells[DEPTH_MAX] = depth
        return True

    def credit(self, notice: Hello | Ack) -> None:
        """Take note of a taker's hello or acknowledgement, and deal what waits."""
        if notice.taker not in self._sockets:
            return
        if isinstance(notice, Hello):
            self._hello(notice.taker, notice.life)
        elif notice.edge == self._edge_id and notice.to == self._life:
            self._close(self._dealer.acknowledged(notice.taker, notice.life, notice.freed, notice.done, notice.busy_us))
        self._deal()
        self.cells[DEPTH] = self._dealer.depth
        if self._closed:
            self._end_emptied()
        if self.retired:
            self._end_retired()

    def withdraw(self, session: str, turn: tuple[int, int]) -> None:
        """What a session has here of turns older than this (turn, revision) is stale: no taker is given it any more.

        Only where the takers themselves would drop it.
        """
        if self.edge.stale:
            stale = self._dealer.withdraw(session, turn)
            self.cells[STALE] += len(stale)
            self._close(stale)
            self.cells[DEPTH] = self._dealer.depth

    def _close(self, parcels: list[Parcel]) -> None:
        """These are over and done with."""
        for parcel in parcels:
            if parcel.receipt is not None:
                parcel.receipt.close_one()

    def retire(self) -> None:
        """The link goes: takers finish what there is, and are then told that it is all."""
        self.retired = True
        self._give_up()
        self._end_retired()

    def _end_retired(self) -> None:
        if self._dealer.settled and not self._ended:
            self.end()

    def adjust(self, edge: Edge) -> None:
        """Go by other settings (`depth`, `when_full`, `give_up_after`) of the same link from now on."""
        if edge != self.edge:
            self.edge = edge
            self._dealer.adjust(edge)

    def meet(self, taker: str, endpoint: str) -> None:
        """A taker comes; it is given messages from its hello on."""
        if taker not in self._sockets:
            self._endpoints[taker] = endpoint
            self._dealer.join(taker)
            self._sockets[taker] = self._connect(taker)

    def part(self, takers: Collection[str]) -> None:
        """These takers leave: they get nothing more, finish what they have, and are then told that it is all."""
        ours = set(takers) & self._sockets.keys()
        self._dealer.close(ours)
        self._closed |= ours
        self._deal()
        self._end_emptied()

    def _end_emptied(self) -> None:
        for taker in self._closed.intersection(self._dealer.emptied):
            if self._dealer.lanes[taker].life >= 0:
                self._closed.discard(taker)
                self._end(taker)

    def forget(self, taker: str) -> None:
        """A taker has left. What it had not finished is given to others, or lost."""
        if taker in self._sockets:
            lane = self._dealer.lanes[taker]
            if lane.outstanding or lane.held:
                self.gone(taker, lane.life, None, None)
            self._dealer.remove(taker)
            self._closed.discard(taker)
            self._sockets.pop(taker).close(0)
            del self._endpoints[taker]
            self._deal()

    def _hello(self, taker: str, life: int) -> None:
        known = self._dealer.lanes[taker].life
        if life <= max(known, self._lives.get(taker, -1)):
            return
        if known >= 0:  # nobody told that its former life died
            self.gone(taker, known, None, None)
        self._dealer.hello(taker, life)
        if self._ended:
            self._end(taker)

    def gone(self, taker: str, life: int, counted: int | None, in_hand: int | None) -> None:
        """A taker died. What it was given is given to others (at_least_once), or counted as lost.

        :param counted: messages of this lane that the dead counted, and the number of the one it had `in_hand` (-1:
            none); None where that is not known.
        """
        if taker not in self._sockets or life != self._dealer.lanes[taker].life:
            return
        self._lives[taker] = life
        lost, again, aside, stale = self._dealer.died(taker, counted, in_hand)
        # A new socket: what is still in the old one must not reach the taker's next life.
        self._sockets.pop(taker).close(0)
        self._sockets[taker] = self._connect(taker)
        self.cells[STALE if stale else DROPPED] += lost
        self.cells[RESENT] += len(again)
        self._keep_aside(aside)
        self._close(stale)
        self._deal()
        self.cells[DEPTH] = self._dealer.depth

    def absent(self, taker: str, final: bool) -> None:
        """Nobody waits for a taker any more. Without any, what comes is dropped, or held where messages are kept; when the
        last has gone for good, what is held is set aside."""
        self._dealer.leave_out(taker)
        self._give_up(final)
        if self.retired:
            self._end_retired()

    def _give_up(self, final: bool = False) -> None:
        """Do not wait for takers where there are none; where messages are kept, when they or the link are gone for good."""
        self._abandoned = self._abandoned or ((final or self.retired) and self._dealer.deserted)
        if self._dealer.deserted and (self._abandoned or not self.keeps):
            self._answer_for(self._dealer.give_up())
            self.cells[DEPTH] = self._dealer.depth

    def expected(self, taker: str) -> None:
        """A taker that was absent is started again."""
        self._dealer.expect(taker)

    def _answer_for(self, parcels: list[Parcel]) -> None:
        """There is nobody who could take them."""
        if self.keeps:
            self._keep_aside(parcels)
        else:
            self.cells[DROPPED] += len(parcels)

    def _keep_aside(self, parcels: list[Parcel]) -> None:
        if parcels:
            self.cells[DEAD] += len(parcels)
            self._set_aside(self.edge, parcels)
        self._close(parcels)

    def _deal(self) -> None:
        for lane, parcel, seq in self._dealer.deal():
            self._send(lane, parcel.header, parcel.body, parcel.payload, seq)

    def _send(self, lane: Lane, header: Header, body: Kind, payload: bytes | memoryview, seq: int) -> None:
        header.seq, header.life, header.to = seq, self._life, lane.life
        payload = self._payloads.hand(header, payload, lane.taker, self._edge_id)
        frame = encode_header(header, body)
        if payload:
            send(self._sockets[lane.taker], self._topic, frame, payload)
        else:
            send(self._sockets[lane.taker], self._topic, frame)

    def end(self) -> None:
        """Tell every taker that nothing more will come; call when `settled`. Those that come later are told then."""
        if self._ended:
            return
        self._ended = True
        for taker in self._sockets:
            self._end(taker)

    def _end(self, taker: str) -> None:
        notice = QueueEnd(self._instance, self.edge.id, self._dealer.lanes[taker].sent, self._life)
        send(self._sockets[taker], END, _encode(notice))

    def close(self, linger_ms: int) -> None:
        for push in self._sockets.values():
            push.close(linger_ms)


class CreditIn:
    """Where the takers of all queues of one producer instance say hello and acknowledge."""

    def __init__(self, context: zmq.Context[Any], endpoint: str) -> None:
        self._socket = socket(context, zmq.PULL, PULL_MARK, CREDIT_BYTES)
        self._endpoint = ""
        self.listen(endpoint)
        self.socket = self._socket
        self.strangers = 0  # notices that could not be read

    def listen(self, endpoint: str) -> None:
        """At this endpoint and no other; empty: at none."""
        self._endpoint = rebind(self._socket, self._endpoint, endpoint)

    def receive(self) -> Iterator[Hello | Ack]:
        """What has come, without waiting; what cannot be read is nobody's credit: it is counted and passed over."""
        for frames in waiting(self._socket):
            try:
                yield _credits.decode(frames[-1])
            except UNREADABLE:
                self.strangers += 1

    def close(self) -> None:
        self._socket.close(0)
