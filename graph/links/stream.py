"""Streams: PUB/SUB between two instances. They fan out, never block the producer, and every loss is counted.

A topic is `<node>.<port>/<partition>`. The start barrier works through topics too: a consumer subscribes to its data
topics and to `?<itself>`; the producer answers there with the next sequence number of every topic (`Welcome`). When the
consumer has all its welcomes it subscribes to `!<itself>`: subscriptions of one connection are read in order, so a
producer that has seen `!x` has seen all of x's data topics. (Topics of one burst may arrive in any order.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import zmq

from graph.errors import MessageError, NodeError
from graph.links.base import Arrival, Ended, Route, header_of, partition_of, partitions_of_replica, readable, received, socket
from graph.message import Header, Kind, encode_header

_SUBSCRIBE = 1  # first byte of what an XPUB reads


class Welcome(msgspec.Struct, tag="welcome"):
    """A producer's answer to a new consumer: the next sequence number of each topic already in use, else 0."""

    instance: str
    next: dict[str, int] = {}


class End(msgspec.Struct, tag="end"):
    """A producer has ended: how many messages it sent on each topic, so that a lost tail is counted too."""

    instance: str
    sent: dict[str, int] = {}


_notices = msgspec.msgpack.Decoder(Welcome | End)
_encode = msgspec.msgpack.Encoder().encode


def bind(made: zmq.Socket[bytes], endpoint: str) -> None:
    """Bind, or say in one line why not.

    :raises NodeError: the port is in use, or the address is not this machine's.
    """
    try:
        made.bind(endpoint)
    except zmq.ZMQError as error:
        address = endpoint.removeprefix("tcp://")
        if error.errno == zmq.EADDRINUSE:
            raise NodeError(f"port {address} is in use by another program: choose another `first_port`") from error
        raise NodeError(f"cannot listen on {address}: {error.strerror}") from error


class StreamOut:
    """The publishing end: one XPUB socket for all streams of an instance."""

    def __init__(
        self, context: zmq.Context[Any], instance: str, node: str, endpoint: str, consumers: Iterable[str], depth: int
    ) -> None:
        self._socket = socket(context, zmq.XPUB, depth)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        bind(self._socket, endpoint)
        self.socket = self._socket
        self._instance = instance
        self._node = node
        self.sent: dict[str, int] = {}  # by port
        self._next: dict[str, int] = {}  # by topic
        self._expected = set(consumers)
        self._listening: set[str] = set()

    @property
    def ready(self) -> bool:
        """True once every planned consumer's subscriptions have been seen."""
        return self._expected <= self._listening

    def publish(self, header: Header, body: Kind, payload: bytes | memoryview) -> None:
        """Send to whoever listens; never blocks. Sets the header's sequence number."""
        topic = f"{self._node}.{header.port}/{partition_of(header.session):02x}"
        header.seq = self._next.get(topic, 0)
        self._next[topic] = header.seq + 1
        self.sent[header.port] = self.sent.get(header.port, 0) + 1
        frame = encode_header(header, body)
        self._socket.send_multipart((topic.encode(), frame, payload) if payload else (topic.encode(), frame))

    def read_subscriptions(self) -> None:
        """Answer consumers that came; call whenever the socket is readable."""
        while readable(self._socket):
            notice = self._socket.recv()
            if not notice or notice[0] != _SUBSCRIBE:
                continue
            topic = notice[1:]
            if topic.startswith(b"?"):
                self._socket.send_multipart((topic, _encode(Welcome(self._instance, self._next))))
            elif topic.startswith(b"!"):
                self._listening.add(topic[1:].decode(errors="replace"))

    def end(self) -> None:
        """Tell every consumer that nothing more will come, behind the last message."""
        for consumer in self._listening:
            self._socket.send_multipart((b"?" + consumer.encode(), _encode(End(self._instance, self._next))))

    def close(self, linger_ms: int) -> None:
        self._socket.close(linger_ms)


class StreamIn:
    """The subscribing end: one SUB socket for all streams into an instance."""

    def __init__(self, context: zmq.Context[Any], instance: str, depth: int) -> None:
        self._socket = socket(context, zmq.SUB, depth)
        self.socket = self._socket
        self._instance = instance
        self._routes: dict[bytes, list[Route]] = {}  # by `<node>.<port>`
        self._partitions: dict[bytes, frozenset[bytes]] = {}  # by `<node>.<port>`, where replicas share sessions
        self._producers: dict[str, list[Route]] = {}  # by producer instance
        self._welcomed: set[str] = set()
        self._expected: dict[tuple[str, bytes], int] = {}  # (instance, topic) -> next sequence number

    @property
    def ready(self) -> bool:
        """True once every producer has answered."""
        return self._welcomed >= self._producers.keys()

    def add(self, route: Route, producers: Iterable[tuple[str, str]], replica: int, replicas: int) -> None:
        """Listen to an edge; `producers` are (instance, endpoint), `replica` of `replicas` shares sessions with its peers."""
        source = f"{route.edge.producer}.{route.edge.port}".encode()
        self._routes.setdefault(source, []).append(route)
        if replicas == 1:
            self._socket.subscribe(source + b"/")
        else:
            mine = frozenset(b"%02x" % p for p in partitions_of_replica(replica, replicas))
            self._partitions[source] = mine
            for partition in mine:
                self._socket.subscribe(source + b"/" + partition)
        for instance, endpoint in producers:
            if instance not in self._producers:
                self._producers[instance] = []
                self._socket.connect(endpoint)
            self._producers[instance].append(route)

    def subscribe_notices(self) -> None:
        """Ask every producer for its welcome; call once all edges are added."""
        if self._producers:
            self._socket.subscribe(f"?{self._instance}")

    def receive(self) -> Iterator[Arrival | Ended]:
        """What has come, without waiting. A frame that cannot be read is counted on its edge and passed over."""
        while readable(self._socket):
            frames = self._socket.recv_multipart()
            if frames[0].startswith(b"?"):
                ended = self._notice(frames)
                if ended is not None:
                    yield ended
            else:
                yield from self._data(frames)

    def _data(self, frames: list[bytes]) -> Iterator[Arrival]:
        routes = self._routes.get(frames[0].partition(b"/")[0], [])
        try:
            header = header_of(frames)
        except MessageError:
            for route in routes:
                route.statistics.rejected += 1
            return
        key = (header.instance, frames[0])
        first = 0 if header.instance in self._welcomed else header.seq
        lost = max(0, header.seq - self._expected.get(key, first))
        self._expected[key] = header.seq + 1
        for route in routes:
            route.statistics.dropped += lost
            try:
                body = route.decoder.decode(header)
            except MessageError:
                route.statistics.rejected += 1
                continue
            yield Arrival(route, received(header, body, frames))

    def _notice(self, frames: list[bytes]) -> Ended | None:
        try:
            notice = _notices.decode(frames[-1])
        except msgspec.DecodeError:
            return None  # somebody else's frame on our topic: there is no edge to count it on
        if isinstance(notice, Welcome):
            for topic, number in notice.next.items():
                self._expected[(notice.instance, topic.encode())] = number
            self._welcomed.add(notice.instance)
            if self.ready:
                self._socket.subscribe(f"!{self._instance}")
            return None
        for topic, sent in notice.sent.items():
            self._count_tail(notice.instance, topic.encode(), sent)
        return Ended(notice.instance, tuple(route.edge.id for route in self._producers.get(notice.instance, ())))

    def _count_tail(self, instance: str, topic: bytes, sent: int) -> None:
        """Gaps show only what was lost between two messages: the end tells what was lost behind the last."""
        source, _, partition = topic.partition(b"/")
        if partition not in self._partitions.get(source, {partition}):
            return
        lost = max(0, sent - self._expected.get((instance, topic), 0))
        for route in self._routes.get(source, ()):
            route.statistics.dropped += lost
        self._expected[(instance, topic)] = max(sent, self._expected.get((instance, topic), 0))

    def close(self) -> None:
        self._socket.close(0)
