"""The taker's end of queues: one PULL for all queues into an instance, and an acknowledgement of what it has finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from graph.errors import MessageError
from graph.links.base import Arrival, Ended, Route, Taken, bind, header_of, missing_before, received, socket, waiting
from graph.links.counts import COUNTED, DROPPED, DUPLICATES, FREED, IN_HAND, LANE_LIFE, Cells, clear
from graph.links.payloads import PayloadsIn
from graph.links.queue import END, HELLO, PULL_MARK, Ack, Greeting, Hello, QueueEnd
from graph.links.receipts import Receipt, Receipts
from graph.message import UNREADABLE, now_ns

ACK_EVERY = 8  # messages a lone taker acknowledges together: a word for each would cost as much as the message did
ACK_WITHIN_NS = 100_000_000  # and it does so at the latest after this time
LONG_US = 2_000  # after a longer job its producer hears at once that there is room: compared to that a word costs nothing

_ends = msgspec.msgpack.Decoder(QueueEnd)
_greetings = msgspec.msgpack.Decoder(Greeting)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class _Lane:
    """One producer instance to this taker on one edge."""

    edge: str
    producer: str
    cells: Cells
    tracks: bool  # its producer wants to know which messages are done
    batch: int  # messages to acknowledge together
    expected: int = 0
    unsent: int = 0  # finished and not told yet
    done: list[int] = field(default_factory=list)  # not told yet
    busy_us: int = 0


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
        bind(self._socket, endpoint)
        self.socket = self._socket
        self._instance = instance
        self._life = life
        self._max_message = max_message
        self._lane_cells = lane_cells
        self._payloads = payloads
        self._repeatable = repeatable
        self._routes: dict[bytes, Route] = {}
        self._receipts: dict[str, Receipts] = {}  # by edge, where messages are kept until they are done
        self._producers: dict[str, zmq.Socket[bytes]] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}  # by edge and producer instance
        self._untold: set[tuple[str, str]] = set()
        self._began_ns = self._since_ns = 0
        self.strangers = 0  # frames that belong to no edge of ours

    def add(self, route: Route, producers: Sequence[tuple[str, str]], shared: bool = False) -> None:
        """Take from an edge; `producers` are (instance, credit endpoint); it may be `shared` with other takers."""
        edge = route.edge
        self._routes[edge.id.encode()] = route
        if edge.delivery == "at_least_once":
            self._receipts[edge.id] = Receipts(self._done, self._repeatable)
        # A producer with several takers, or with a short queue, waits for every word.
        batch = 1 if shared or edge.depth < 2 * ACK_EVERY else ACK_EVERY
        tracks = edge.id in self._receipts or edge.order == "session"
        for instance, endpoint in producers:
            cells = self._lane_cells(edge.id, instance)
            clear(cells)
            self._lanes[edge.id, instance] = _Lane(edge.id, instance, cells, tracks, batch)
            if instance not in self._producers:
                push = socket(self._context, zmq.PUSH, 0)
                push.connect(endpoint)
                push.send(_encode(Hello(self._instance, self._life)))
                self._producers[instance] = push

    def floor(self, edge: str, origin: str) -> int:
        """Up to which number an origin's messages are finished with, as far as is known here."""
        return self._receipts[edge].floors.get(origin, 0)

    def receive(self, deliver: Callable[[Arrival | Ended], None]) -> None:
        """Deliver what has come, without waiting. A frame that cannot be read is counted on its edge and passed over."""
        for frames in waiting(self._socket):
            route = self._routes.get(frames[0])
            item = self._notice(frames) if route is None else self._data(route, frames)
            if item is not None:
                deliver(item)

    def _data(self, route: Route, frames: list[bytes]) -> Arrival | None:
        try:
            header = header_of(frames, self._max_message)
            lane = self._lanes.get((route.edge.id, header.instance))
            if lane is None:
                raise MessageError(f"'{header.instance}' is no producer of '{route.edge.id}'")
            if header.life != lane.cells[LANE_LIFE]:
                self._new_life(lane, header.life)
            missing = missing_before(header, lane.expected)
            if lane.expected - lane.cells[FREED] >= route.edge.depth:
                raise MessageError(f"'{header.instance}' has no credit left")
        except MessageError as error:
            route.rejected(error)
            return None
        taken = Taken(lane.producer, header.life, lane.edge, header.seq)
        lane.expected = header.seq + 1
        if missing:  # cannot be on a lane that holds; whoever sends such numbers gets his credit all the same
            route.cells[DROPPED] += missing
            lane.cells[COUNTED] += missing
            lane.cells[FREED] += missing
        try:
            payload = self._payloads.read(header, frames, lane.edge)
            body = route.decoder.decode(header)
        except MessageError as error:
            route.rejected(error)
            self._let_go(lane, header.seq)
            return None
        receipts = self._receipts.get(lane.edge)
        receipt = None
        if receipts is not None:
            receipt = receipts.take(header, taken)
            if receipt is None:
                route.cells[DUPLICATES] += 1
                lane.cells[COUNTED] += 1
                self._freed(lane)
                return None
        return Arrival(route, received(header, body, payload), taken, receipt)

    def _let_go(self, lane: _Lane, seq: int) -> None:
        """A message that nobody will handle: or its producer would wait for this credit for ever."""
        lane.cells[COUNTED] += 1
        if lane.tracks:
            lane.done.append(seq)
        self._freed(lane)

    def _new_life(self, lane: _Lane, life: int) -> None:
        if life < lane.cells[LANE_LIFE]:
            raise MessageError(f"of an earlier life of '{lane.producer}'")
        lane.cells[COUNTED] = lane.cells[FREED] = lane.cells[IN_HAND] = 0
        lane.cells[LANE_LIFE] = life
        lane.expected = lane.unsent = 0
        lane.done.clear()

    def _notice(self, frames: list[bytes]) -> Ended | None:
        try:
            if frames[0] == END:
                end = _ends.decode(frames[-1])
                if (end.edge, end.instance) in self._lanes:
                    return Ended(end.instance, (end.edge,))
            elif frames[0] == HELLO:
                producer = self._producers.get(_greetings.decode(frames[-1]).instance)
                if producer is not None:
                    producer.send(_encode(Hello(self._instance, self._life)))
                    return None
        except UNREADABLE:
            self.strangers += 1
            return None
        self.strangers += 1
        return None

    def begin(self, arrival: Arrival) -> None:
        """A message goes to its handler: should that be the end of this process, its producer is told which one it was."""
        taken = arrival.taken
        if taken is None:
            return
        self._began_ns = now_ns()
        cells = self._lanes[taken.edge, taken.producer].cells
        if taken.life == cells[LANE_LIFE]:
            cells[COUNTED] += 1
            cells[IN_HAND] = taken.seq + 1

    def finished(self, arrival: Arrival, handled: bool = True) -> None:
        """A message is out of hand: its producer gets its credit at the latest with the next `flush`."""
        taken = arrival.taken
        if taken is None:
            return
        lane = self._lanes[taken.edge, taken.producer]
        cells = lane.cells
        if arrival.receipt is not None:
            arrival.receipt.close_one()
        if taken.life != cells[LANE_LIFE]:
            return  # of a producer that died since: there is nobody to be told
        if handled:
            cells[IN_HAND] = 0
            lane.busy_us = max(lane.busy_us, (now_ns() - self._began_ns) // 1000)
        else:
            cells[COUNTED] += 1
        if lane.tracks and arrival.receipt is None:
            lane.done.append(taken.seq)
        self._freed(lane)

    def _freed(self, lane: _Lane) -> None:
        lane.cells[FREED] += 1
        lane.unsent += 1
        if lane.unsent >= lane.batch or lane.busy_us > LONG_US:
            self._tell(lane)
        else:
            self._later(lane)

    def _later(self, lane: _Lane) -> None:
        if not self._untold:
            self._since_ns = now_ns()
        self._untold.add((lane.edge, lane.producer))

    def _done(self, receipt: Receipt) -> None:
        """All that a message caused has been acknowledged: none of its copies need be kept."""
        for taken in receipt.copies:
            lane = self._lanes[taken.edge, taken.producer]
            if taken.life == lane.cells[LANE_LIFE]:
                lane.done.append(taken.seq)
                self._later(lane)
        receipt.copies.clear()

    @property
    def unacknowledged(self) -> bool:
        """True when acknowledgements are held back."""
        return bool(self._untold)

    def look(self, now_ns: int) -> None:
        """Send acknowledgements that somebody waits for, or that have been held back for long."""
        if self._untold and now_ns - self._since_ns >= ACK_WITHIN_NS:
            self.flush()
        for key in [k for k in self._untold if self._lanes[k].batch == 1]:
            self._tell(self._lanes[key])

    def flush(self) -> None:
        """Send all acknowledgements held back."""
        for key in list(self._untold):
            self._tell(self._lanes[key])

    def _tell(self, lane: _Lane) -> None:
        cells = lane.cells
        notice = Ack(self._instance, lane.edge, cells[FREED], self._life, cells[LANE_LIFE], lane.done, lane.busy_us)
        self._producers[lane.producer].send(_encode(notice))
        lane.unsent = lane.busy_us = 0
        lane.done.clear()
        self._untold.discard((lane.edge, lane.producer))

    def close(self) -> None:
        self._socket.close(0)
        for push in self._producers.values():
            push.close(0)
