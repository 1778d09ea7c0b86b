"""Streams: PUB/SUB between two instances. They fan out, never block the producer, and every loss is counted.

A topic is `<node>.<port>/<partition>`. The start barrier works through topics too: a consumer subscribes to its data
topics and to `?<itself>`; the producer answers there with the next sequence number of every topic (`Welcome`). Having
read that, the consumer subscribes to `!<itself>/<producer>/<life>`: subscriptions of one connection are read in order,
so a producer that has seen it has seen all of the consumer's data topics. (Topics of one burst may arrive in any order,
and after a reconnection all of them come in one burst: hence the life, which only this producer's answer tells.)
This is the producer's end; the consumer's is `hearing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import zmq

from graph.links.base import (
    bind,
    send,
    socket,
    waiting,
)
from graph.links.counts import PARTITIONS, Cells, topics_of
from graph.links.partitions import partition_of
from graph.links.payloads import PayloadsOut
from graph.message import Count, Header, Kind, encode_header

TOPICS_REMEMBERED = 10_000  # of which it is known whether anybody hears them
_SUBSCRIBE = 1  # first byte of what an XPUB reads
_SUBSCRIPTION_BYTES = 512  # no topic is as long


class Welcome(msgspec.Struct, tag="welcome"):
    """A producer's answer to a new consumer: the next sequence number of each topic already in use, else 0."""

    instance: str
    life: Count = 0
    next: dict[str, Count] = {}


class End(msgspec.Struct, tag="end"):
    """A producer has ended: how many messages it sent on each topic, so that a lost tail is counted too."""

    instance: str
    life: Count = 0
    sent: dict[str, Count] = {}


class Follows(msgspec.Struct, tag="follows"):
    """A producer goes on where another, the giver, has stopped: what it says from now on comes behind what that has said."""

    instance: str
    giver: str
    life: Count = 0
    giver_life: Count = 0
    said: dict[str, Count] = {}  # messages of the giver, by topic


_encode = msgspec.msgpack.Encoder().encode


class StreamOut:
    """The publishing end: one XPUB socket for all streams of an instance."""

    def __init__(
        self,
        context: zmq.Context[Any],
        instance: str,
        life: int,
        node: str,
        endpoint: str,
        consumers: Iterable[str],
        depth: int,
        sending: dict[str, Cells],
        payloads: PayloadsOut,
    ) -> None:
        self._socket = socket(context, zmq.XPUB, depth, _SUBSCRIPTION_BYTES)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        bind(self._socket, endpoint)
        self.socket = self._socket
        self._instance = instance
        self._life = life
        self._node = node
        self._sending = sending
        self._topics = {port: [f"{node}.{port}/{p:02x}".encode() for p in range(PARTITIONS)] for port in sending}
        self._payloads = payloads
        self._missing = set(consumers)
        self._subscriptions: set[bytes] = set()
        self._heard: dict[tuple[str, str], bool] = {}  # by port and session: whether anybody subscribes to its topic

    @property
    def ready(self) -> bool:
        """True once every planned consumer's subscriptions have been seen."""
        return not self._missing

    def absent(self, consumer: str) -> None:
        """A consumer has failed or was stopped: the barrier does not wait for it."""
        self._missing.discard(consumer)

    def publish(self, header: Header, body: Kind, payload: bytes | memoryview) -> None:
        """Send to whoever listens; never blocks. Sets the header's sequence number."""
        port = header.port
        partition = partition_of(header.session)
        cells = self._sending[port]
        header.seq = seq = cells[partition]
        header.life = self._life
        cells[partition] = seq + 1
        if not self.heard(port, header.session):
            return
        payload = self._payloads.publish(header, payload, partition)
        frame = encode_header(header, body)
        topic = self._topics[port][partition]
        if payload:
            send(self._socket, topic, frame, payload)
        else:
            send(self._socket, topic, frame)

    def pass_over(self, port: str, session: str) -> None:
        """Count a message that nobody listens to, instead of publishing it."""
        self._sending[port][partition_of(session)] += 1

    def heard(self, port: str, session: str) -> bool:
        """Whether anybody subscribes to a topic: what nobody hears need not be encoded. (It is counted all the same.)"""
        heard = self._heard.get((port, session))
        if heard is None:
            if len(self._heard) >= TOPICS_REMEMBERED:
                self._heard.clear()
            topic = self._topics[port][partition_of(session)]
            heard = self._heard[port, session] = any(map(topic.startswith, self._subscriptions))
        return heard

    def statistics(self) -> dict[str, int]:
        """By output port, how many messages have been sent."""
        return {port: sum(cells[:PARTITIONS]) for port, cells in self._sending.items()}

    def _ours(self, subscription: bytes) -> bool:
        """True where a topic of ours may begin so: there are few of those, whatever somebody subscribes to."""
        return any(subscription == topic[: len(subscription)] for topics in self._topics.values() for topic in topics)

    def read_subscriptions(self) -> None:
        """Answer consumers that came; call whenever the socket is readable."""
        for notice, *_ in waiting(self._socket):
            topic = notice[1:]
            self._heard.clear()
            if not notice or notice[0] != _SUBSCRIBE:
                self._subscriptions.discard(topic)  # nobody has it any more
                continue
            if self._ours(topic):
                self._subscriptions.add(topic)
            if topic.startswith(b"?"):
                welcome = Welcome(self._instance, self._life, topics_of(self._node, self._sending))
                send(self._socket, topic, _encode(welcome))
            elif topic.startswith(b"!"):
                consumer, _, whom = topic[1:].decode(errors="replace").partition("/")
                if whom == f"{self._instance}/{self._life}":
                    self._missing.discard(consumer)

    def end(self, consumers: Iterable[str]) -> None:
        """Tell consumers that nothing more will come, behind the last message."""
        notice = _encode(End(self._instance, self._life, topics_of(self._node, self._sending)))
        for consumer in consumers:
            send(self._socket, b"?" + consumer.encode(), notice)

    def follow(self, consumers: Iterable[str], giver: str, giver_life: int, said: dict[str, int]) -> None:
        """Tell consumers that what is published from now on comes behind what another has said."""
        notice = _encode(Follows(self._instance, giver, self._life, giver_life, said))
        for consumer in consumers:
            send(self._socket, b"?" + consumer.encode(), notice)

    def close(self, linger_ms: int) -> None:
        self._socket.close(linger_ms)
