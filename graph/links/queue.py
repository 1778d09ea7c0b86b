"""Queues: PUSH/PULL with credit. Each message goes to one replica, and a producer that is too fast waits.

Each taker binds one PULL for its work; a producer holds one PUSH per taker and binds one PULL where takers say hello and
acknowledge. An acknowledgement is the credit: a taker holds at most `window` unfinished messages, and the producer picks
the taker with the fewest. (Plain PUSH deals to busy takers too: kernel buffers count bytes, not messages.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import zmq

from graph.errors import MessageError
from graph.links.base import Arrival, EdgeStatistics, Ended, Route, header_of, readable, received, socket
from graph.links.stream import bind
from graph.message import Header, Kind, encode_header
from graph.plan import Edge, Instance

WINDOW = 32  # messages a lone taker may hold; acknowledged in batches it costs 1.06 of a plain PUSH (see DESIGN, Links)
ACK_EVERY = 8


class Hello(msgspec.Struct, tag="hello"):
    """A taker is there and bound."""

    taker: str


class Ack(msgspec.Struct, tag="ack"):
    """A taker has finished everything of an edge up to and including `seq`."""

    taker: str
    edge: str
    seq: int


class QueueEnd(msgspec.Struct):
    """Travels behind the last message of a lane."""

    instance: str
    edge: str
    sent: int


_credits = msgspec.msgpack.Decoder(Hello | Ack)
_ends = msgspec.msgpack.Decoder(QueueEnd)
_encode = msgspec.msgpack.Encoder().encode
_END = b"end"


class _Lane:
    """One producer instance to one taker of one edge."""

    def __init__(self, made: zmq.Socket[bytes], window: int) -> None:
        self.socket = made
        self.window = window
        self.sent = 0
        self.finished = 0

    @property
    def outstanding(self) -> int:
        return self.sent - self.finished


class QueueOut:
    """The pushing end of one edge."""

    def __init__(self, context: zmq.Context[Any], edge: Edge, takers: Sequence[Instance], endpoints: Sequence[str]) -> None:
        self.edge = edge
        self.statistics = EdgeStatistics()
        window = min(edge.depth, WINDOW) if len(takers) == 1 else 1
        self._lanes: dict[str, _Lane] = {}
        for taker, endpoint in zip(takers, endpoints, strict=True):
            # No high-water mark: credit bounds what can be in it. libzmq learns late of what has left a pipe, so a mark
            # near the window would block the producer for ever behind a taker that died.
            push = socket(context, zmq.PUSH, 0)
            push.connect(endpoint)
            self._lanes[taker.id] = _Lane(push, window)
        self._greeted: set[str] = set()
        self._waiting: deque[tuple[Header, Kind, bytes | memoryview]] = deque()

    @property
    def ready(self) -> bool:
        """True once every taker has said hello."""
        return self._greeted >= self._lanes.keys()

    @property
    def full(self) -> bool:
        """True when `depth` messages are neither finished nor dropped."""
        return len(self._waiting) + sum(lane.outstanding for lane in self._lanes.values()) >= self.edge.depth

    @property
    def empty(self) -> bool:
        """True when every message has been handed to a taker."""
        return not self._waiting

    def push(self, header: Header, body: Kind, payload: bytes | memoryview) -> bool:
        """Hand a message to the least busy taker, or keep it until one is free.

        :returns: False when the queue is full and must block: deliver credits, then push again.
        """
        if self.full:
            if self.edge.when_full == "block":
                return False
            self.statistics.dropped += 1
            if self.edge.when_full == "drop_newest" or not self._waiting:
                self.statistics.sent += 1
                return True
            self._waiting.popleft()
        self.statistics.sent += 1
        self._waiting.append((header, body, payload))
        self._deal()
        return True

    def credit(self, notice: Hello | Ack) -> None:
        """Take note of a taker's hello or acknowledgement, and deal what waits."""
        lane = self._lanes.get(notice.taker)
        if lane is None:
            return
        if isinstance(notice, Hello):
            self._greeted.add(notice.taker)
        elif notice.edge == self.edge.id and lane.finished <= notice.seq < lane.sent:
            lane.finished = notice.seq + 1
            self._deal()

    def _deal(self) -> None:
        while self._waiting:
            lane = min(self._lanes.values(), key=lambda one: one.outstanding - one.window)
            if lane.outstanding >= lane.window:
                return
            header, body, payload = self._waiting.popleft()
            header.seq = lane.sent
            lane.sent += 1
            frame = encode_header(header, body)
            topic = self.edge.id.encode()
            lane.socket.send_multipart((topic, frame, payload) if payload else (topic, frame))

    def end(self, instance: str) -> None:
        """Tell every taker that nothing more will come; call when `empty`."""
        for lane in self._lanes.values():
            lane.socket.send_multipart((_END, _encode(QueueEnd(instance, self.edge.id, lane.sent))))

    def close(self, linger_ms: int) -> None:
        for lane in self._lanes.values():
            lane.socket.close(linger_ms)


class CreditIn:
    """Where the takers of all queues of one producer instance say hello and acknowledge."""

    def __init__(self, context: zmq.Context[Any], endpoint: str) -> None:
        self._socket = socket(context, zmq.PULL, 0)
        bind(self._socket, endpoint)
        self.socket = self._socket

    def receive(self) -> Iterator[Hello | Ack]:
        """What has come, without waiting; what cannot be read is nobody's credit and is passed over."""
        while readable(self._socket):
            try:
                yield _credits.decode(self._socket.recv_multipart()[-1])
            except msgspec.DecodeError:
                continue

    def close(self) -> None:
        self._socket.close(0)


class QueueIn:
    """The taking end: one PULL for all queues into an instance."""

    def __init__(self, context: zmq.Context[Any], instance: str, endpoint: str) -> None:
        self._context = context
        self._socket = socket(context, zmq.PULL, 0)  # credit bounds what can be in it
        bind(self._socket, endpoint)
        self.socket = self._socket
        self._instance = instance
        self._routes: dict[bytes, Route] = {}
        self._producers: dict[str, zmq.Socket[bytes]] = {}
        self._unsent: dict[tuple[str, str], tuple[int, int]] = {}  # (producer, edge) -> (newest seq finished, how many)
        self._expected: dict[tuple[str, str], int] = {}

    def add(self, route: Route, producers: Sequence[tuple[str, str]]) -> None:
        """Take from an edge; `producers` are (instance, credit endpoint)."""
        self._routes[route.edge.id.encode()] = route
        for instance, endpoint in producers:
            if instance not in self._producers:
                push = socket(self._context, zmq.PUSH, 0)
                push.connect(endpoint)
                push.send(_encode(Hello(self._instance)))
                self._producers[instance] = push

    def receive(self) -> Iterator[Arrival | Ended]:
        """What has come, without waiting. A frame that cannot be read is counted on its edge and passed over."""
        while readable(self._socket):
            frames = self._socket.recv_multipart()
            if frames[0] == _END:
                try:
                    end = _ends.decode(frames[-1])
                except msgspec.DecodeError:
                    continue
                yield Ended(end.instance, (end.edge,))
                continue
            route = self._routes.get(frames[0])
            if route is None:
                continue
            try:
                header = header_of(frames)
            except MessageError:
                route.statistics.rejected += 1
                continue
            key = (header.instance, route.edge.id)
            taken = (*key, header.seq)
            route.statistics.dropped += max(0, header.seq - self._expected.get(key, 0))
            self._expected[key] = header.seq + 1
            try:
                body = route.decoder.decode(header)
            except MessageError:
                route.statistics.rejected += 1
                self.finished(taken)  # or its producer would wait for this credit for ever
                continue
            yield Arrival(route, received(header, body, frames), taken)

    def finished(self, taken: tuple[str, str, int]) -> None:
        """A message has been handled: it will be acknowledged at the latest with the next `flush`."""
        producer, edge, seq = taken
        newest, count = self._unsent.get((producer, edge), (0, 0))
        # What became stale is finished before what was in hand: the last to finish need not be the newest.
        self._unsent[(producer, edge)] = (max(newest, seq), count + 1)
        if count + 1 >= ACK_EVERY:
            self.flush()

    @property
    def unacknowledged(self) -> bool:
        """True when acknowledgements are held back."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send the acknowledgements held back; call when idle."""
        for (producer, edge), (seq, _) in self._unsent.items():
            push = self._producers.get(producer)
            if push is not None:
                push.send(_encode(Ack(self._instance, edge, seq)))
        self._unsent.clear()

    def close(self) -> None:
        self._socket.close(0)
        for push in self._producers.values():
            push.close(0)
