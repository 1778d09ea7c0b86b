"""The taker's end of queues: one PULL for all queues into an instance, and an acknowledgement of what it has finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from graph.errors import MessageError
from graph.links.base import (
    HANDFUL,
    Arrival,
    Ended,
    Route,
    Taken,
    check_length,
    header_of,
    missing_before,
    rebind,
    received,
    socket,
    waiting,
)
from graph.links.counts import COUNTED, DROPPED, DUPLICATES, FREED, IN_HAND, LANE_LIFE, Cells, EdgeStatistics, clear
from graph.links.dealer import LONE_WORK_US, slowest_now, window_for
from graph.links.payloads import PayloadsIn
from graph.links.queue import END, HELLO, PULL_MARK, Ack, Greeting, Hello, QueueEnd
from graph.links.receipts import Receipt, Receipts
from graph.message import UNREADABLE, now_ns

ACK_EVERY = 8  # messages that one of several takers acknowledges together at most; it does so whenever it is idle
ACK_WITHIN_NS = 500_000_000  # a lone taker has more credit than it needs: its word may wait until half of it is spent
DONE_WITHIN_NS = 100_000_000  # where a producer keeps what it has not heard of
LINGER_MS = 500  # that the last word to a producer which leaves may take
LONG_US = 2_000  # after a longer job its producer hears at once that there is room: compared to that a word costs nothing

_ends = msgspec.msgpack.Decoder(QueueEnd)
_greetings = msgspec.msgpack.Decoder(Greeting)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True, eq=False)
class TakerLane:
    """One producer instance to this taker on one edge."""

    edge: str
    producer: str
    credit: zmq.Socket[bytes]  # where its producer hears of what is finished
    cells: Cells
    tracks: bool  # its producer wants to know which messages are done
    eager: bool  # its producer has others to give its messages to, and waits for this taker's word
    depth: int  # of the link
    most: int  # messages that a producer may ever have under way: `depth` may have been more
    part: int  # of a lone taker's credit, that it holds back acknowledgements for
    batch: int = 1  # messages to acknowledge together
    slowest_us: int = 0  # what its producer makes of our words
    expected: int = 0
    unsent: int = 0  # finished and not told yet
    held_back: bool = False  # there is something to tell
    done: list[int] = field(default_factory=list)  # not told yet
    busy_us: int = 0

    def reckon(self, busy_us: int) -> None:
        """How many messages to acknowledge together, after the producer was told of a job of so long."""
        self.slowest_us = slowest_now(self.slowest_us, busy_us)
        credit = window_for(self.slowest_us, LONE_WORK_US, self.depth)
        self.batch = ACK_EVERY if self.eager else max(1, credit // self.part)


@dataclass(slots=True, eq=False)
class _Taking:
    """One edge into this instance."""

    route: Route
    receipts: Receipts | None  # where messages are kept until they are done
    lanes: dict[str, TakerLane] = field(default_factory=dict)  # by producer instance


class QueueIn:
    """The taking end of all queues of an instance.

    :param lane_cells: gives the cells of (edge, producer instance).
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        instance: str,
        life: int,
        endpoint: str,
        max_message: int,
        lane_cells: Callable[[str, str], Cells],
        payloads: PayloadsIn,
        repeatable: bool = True,
    ) -> None:
        self._context = context
        self._socket = socket(context, zmq.PULL, PULL_MARK, max_message)
        self._endpoint = ""
        self.listen(endpoint)
        self.socket = self._socket
        self._instance = instance
        self._life = life
        self._max_message = max_message
        self._lane_cells = lane_cells
        self._payloads = payloads
        self._repeatable = repeatable
        self._edges: dict[bytes, _Taking] = {}  # by topic
        self._producers: dict[str, zmq.Socket[bytes]] = {}
        self._greeted = False
        self._untold: list[TakerLane] = []
        self._began_ns = self._due_ns = 0
        self.strangers = 0  # frames that belong to no edge of ours

    def listen(self, endpoint: str) -> None:
        """At this endpoint and no other; empty: at none."""
        self._endpoint = rebind(self._socket, self._endpoint, endpoint)

    def add(self, route: Route, producers: Sequence[tuple[str, str]], shared: bool = False) -> None:
        """Take from an edge; `producers` are (instance, credit endpoint); it may be `shared` with other takers."""
        edge = route.edge
        taking = self._edges.get(edge.id.encode())
        if taking is None:
            receipts = Receipts(self._done, self._repeatable) if edge.delivery == "at_least_once" else None
            taking = self._edges[edge.id.encode()] = _Taking(route, receipts)
        part = 2 if edge.when_full == "block" else 8  # a queue that drops when it is full should not seem to be
        tracks = taking.receipts is not None or edge.order == "session"
        for instance, endpoint in producers:
            if instance in taking.lanes:
                continue
            cells = self._lane_cells(edge.id, instance)
            clear(cells)
            credit_socket = self._credit_socket(instance, endpoint)
            lane = TakerLane(edge.id, instance, credit_socket, cells, tracks, shared, edge.depth, edge.depth, part)
            lane.reckon(0)
            taking.lanes[instance] = lane

    def _credit_socket(self, instance: str, endpoint: str) -> zmq.Socket[bytes]:
        if instance not in self._producers:
            push = self._producers[instance] = socket(self._context, zmq.PUSH, 0)
            push.connect(endpoint)
            if self._greeted:
                push.send(_encode(Hello(self._instance, self._life)))
        return self._producers[instance]

    def greet(self) -> None:
        """Say hello to all producers, who give nothing to a taker before: it may take long to load."""
        self._greeted = True
        for push in self._producers.values():
            push.send(_encode(Hello(self._instance, self._life)))

    def share(self, shared: bool) -> None:
        """Whether other takers take from the same queues has changed."""
        for taking in self._edges.values():
            for lane in taking.lanes.values():
                lane.eager = shared
                lane.reckon(0)

    def allow(self, edge: str, depths: Sequence[int]) -> None:
        """The `depth` of a link is one of these: producers learn of a change sooner or later than we do."""
        taking = self._edges.get(edge.encode())
        for lane in taking.lanes.values() if taking is not None else ():
            lane.depth, lane.most = min(depths), max(lane.most, *depths)
            lane.reckon(0)

    def drop(self, edge: str) -> None:
        """A link is no more."""
        taking = self._edges.pop(edge.encode(), None)
        for lane in taking.lanes.values() if taking is not None else ():
            if lane.held_back:
                self._tell(lane)
            self._payloads.detach(lane.producer, edge)

    def forget(self, producer: str) -> None:
        """A producer has left; what it was owed it does not wait for any more."""
        push = self._producers.pop(producer, None)
        if push is None:
            return
        for taking in self._edges.values():
            lane = taking.lanes.pop(producer, None)
            if lane is not None and lane.held_back:
                self._untold.remove(lane)
            self._payloads.detach(producer, taking.route.edge.id)
        push.close(LINGER_MS)

    def floor(self, edge: str, origin: str) -> int:
        """Up to which number an origin's messages are finished with, as far as is known here."""
        taking = self._edges.get(edge.encode())
        receipts = taking.receipts if taking is not None else None
        return receipts.floors.get(origin, 0) if receipts is not None else 0

    def receive(self, deliver: Callable[[Arrival | Ended], None], most: int = HANDFUL) -> None:
        """Deliver what has come, `most` messages at most, without waiting.

        A frame that cannot be read is counted on its edge and passed over.
        """
        for frames in waiting(self._socket, most):
            taking = self._edges.get(frames[0])
            item = self._notice(frames) if taking is None else self._data(taking, frames)
            if item is not None:
                deliver(item)

    def _data(self, taking: _Taking, frames: list[bytes]) -> Arrival | None:
        route = taking.route
        try:
            header = header_of(frames)
            lane = taking.lanes.get(header.instance)
            if lane is None:
                raise MessageError(f"'{header.instance}' is no producer of '{route.edge.id}'")
            if header.to != self._life:
                return None  # it was on its way to our former life: its producer knows that it has not arrived
            if header.life != lane.cells[LANE_LIFE]:
                self._new_life(lane, header.life)
            missing = missing_before(header, lane.expected)
            if lane.expected - lane.cells[FREED] >= lane.most:
                raise MessageError(f"'{header.instance}' has no credit left")
        except MessageError as error:
            route.rejected(error)
            return None
        lane.expected = header.seq + 1
        if missing:  # cannot be on a lane that holds; whoever sends such numbers gets his credit all the same
            route.cells[DROPPED] += missing
            lane.cells[COUNTED] += missing
            lane.cells[FREED] += missing
            if lane.tracks:
                lane.done += range(header.seq - min(missing, lane.most), header.seq)
        try:
            check_length(frames, self._max_message)
            payload = self._payloads.read(header, frames, lane.edge)
            body = route.decoder.decode(header)
        except MessageError as error:
            route.rejected(error)
            self._let_go(lane, header.seq)
            return None
        receipt = None
        if taking.receipts is not None:
            receipt = taking.receipts.take(header, Taken(lane.producer, header.life, lane.edge, header.seq))
            if receipt is None:
                route.cells[DUPLICATES] += 1
                lane.cells[COUNTED] += 1
                self._freed(lane)
                return None
        return Arrival(route, received(header, body, payload), lane, receipt)

    def _let_go(self, lane: TakerLane, seq: int) -> None:
        """A message that nobody will handle: or its producer would wait for this credit for ever."""
        lane.cells[COUNTED] += 1
        if lane.tracks:
            lane.done.append(seq)
        self._freed(lane)

    def _new_life(self, lane: TakerLane, life: int) -> None:
        if life < lane.cells[LANE_LIFE]:
            raise MessageError(f"of an earlier life of '{lane.producer}'")
        lane.cells[COUNTED] = lane.cells[FREED] = lane.cells[IN_HAND] = 0
        lane.cells[LANE_LIFE] = life
        lane.expected = lane.unsent = lane.busy_us = lane.slowest_us = 0
        lane.reckon(0)
        lane.done.clear()

    def _notice(self, frames: list[bytes]) -> Ended | None:
        try:
            if frames[0] == END:
                end = _ends.decode(frames[-1])
                taking = self._edges.get(end.edge.encode())
                if taking is not None and end.instance in taking.lanes:
                    return Ended(end.instance, (end.edge,))
            elif frames[0] == HELLO:
                producer = self._producers.get(_greetings.decode(frames[-1]).instance)
                if producer is not None:
                    if self._greeted:
                        producer.send(_encode(Hello(self._instance, self._life)))
                    return None
        except UNREADABLE:
            self.strangers += 1
            return None
        self.strangers += 1
        return None

    def begin(self, arrival: Arrival, now_ns: int) -> None:
        """A message goes to its handler: should that be the end of this process, its producer is told which one it was."""
        lane, header = arrival.lane, arrival.message.header
        if lane is None or header is None:
            return
        self._began_ns = now_ns
        cells = lane.cells
        if header.life == cells[LANE_LIFE]:
            cells[COUNTED] += 1
            cells[IN_HAND] = header.seq + 1

    def finished(self, arrival: Arrival, handled: bool = True) -> None:
        """A message is out of hand: its producer gets its credit at the latest with the next `flush`."""
        lane, header = arrival.lane, arrival.message.header
        if lane is None or header is None:
            return
        cells = lane.cells
        if arrival.receipt is not None:
            arrival.receipt.close_one()
        if header.life != cells[LANE_LIFE]:
            return  # of a producer that died since: there is nobody to be told
        if handled:
            cells[IN_HAND] = 0
            lane.busy_us = max(lane.busy_us, (now_ns() - self._began_ns) // 1000)
        else:
            cells[COUNTED] += 1
        if lane.tracks and arrival.receipt is None:
            lane.done.append(header.seq)
        self._freed(lane)

    def _freed(self, lane: TakerLane) -> None:
        lane.cells[FREED] += 1
        lane.unsent += 1
        if lane.unsent >= lane.batch or lane.busy_us > LONG_US:
            self._tell(lane)
        else:
            self._later(lane)

    def _later(self, lane: TakerLane) -> None:
        if lane.held_back and not lane.done:
            return
        due_ns = now_ns() + (DONE_WITHIN_NS if lane.done else ACK_WITHIN_NS)
        self._due_ns = min(due_ns, self._due_ns) if self._untold else due_ns
        if not lane.held_back:
            lane.held_back = True
            self._untold.append(lane)

    def _done(self, receipt: Receipt) -> None:
        """All that a message caused has been acknowledged: none of its copies need be kept."""
        for taken in receipt.copies:
            taking = self._edges.get(taken.edge.encode())
            lane = taking.lanes.get(taken.producer) if taking is not None else None
            if lane is not None and taken.life == lane.cells[LANE_LIFE]:
                lane.done.append(taken.seq)
                self._later(lane)
        receipt.copies.clear()

    @property
    def held_back_until_ns(self) -> int | None:
        """When acknowledgements that are held back must go; None where there are none."""
        return self._due_ns if self._untold else None

    def look(self, now_ns: int) -> None:
        """Send acknowledgements that somebody waits for, or that have been held back for long."""
        if self._untold and now_ns >= self._due_ns:
            self.flush()
        for lane in [one for one in self._untold if one.eager or one.done]:
            self._tell(lane)

    def flush(self) -> None:
        """Send all acknowledgements held back."""
        for lane in list(self._untold):
            self._tell(lane)

    def statistics(self) -> dict[str, EdgeStatistics]:
        """By edge, what has been counted at this end."""
        return {taking.route.edge.id: taking.route.statistics() for taking in self._edges.values()}

    def _tell(self, lane: TakerLane) -> None:
        cells = lane.cells
        notice = Ack(self._instance, lane.edge, cells[FREED], self._life, cells[LANE_LIFE], lane.done, lane.busy_us)
        if lane.producer in self._producers:  # else it has left
            lane.credit.send(_encode(notice))
        if lane.unsent:  # else the producer makes nothing of it either
            lane.reckon(lane.busy_us)
        lane.unsent = lane.busy_us = 0
        lane.done.clear()
        if lane.held_back:
            lane.held_back = False
            self._untold.remove(lane)

    def close(self) -> None:
        self._socket.close(0)
        for push in self._producers.values():
            push.close(0)
