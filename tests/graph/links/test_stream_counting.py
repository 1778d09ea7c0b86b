"""Streams lose messages, producers and consumers die, and all is counted: what was sent is delivered, rejected or dropped.

Without a network: what a producer sends stands in a wire, to be lost or heard in any order that a real one could give.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
import zmq
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from graph.links.base import Arrival, Ended
from graph.links.counts import Cells, Counts, Index, topics_of
from graph.links.hearing import LIVES_SETTLED
from graph.links.moving import StreamIn
from graph.links.partitions import partition_of
from graph.links.payloads import PayloadsIn
from graph.links.stream import End, Welcome
from graph.message import encode_header
from graph.plan import Edge

from .ends import MAX_MESSAGE, Number, bound, counted, header, route

PORTS = ["out", "more"]
encode = msgspec.msgpack.Encoder().encode
picks = st.integers(0, 2**16)


class Producer:
    """All lives of one producer instance."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.lives: list[dict[str, Cells]] = []
        self.wire: deque[list[bytes]] = deque()  # on its way to the consumer, the newest life behind the others
        self.gone: deque[tuple[int, dict[str, int]]] = deque()  # what the supervisor has to say
        self.begin()

    def begin(self) -> None:
        self.lives.append(Counts.in_memory(Index(sending=PORTS)).sending)
        self.welcome()

    def welcome(self) -> None:
        life = len(self.lives) - 1
        self.wire.append([b"?dst", encode(Welcome(self.instance, life, self.topics(life)))])

    def topics(self, life: int) -> dict[str, int]:
        return topics_of("src", self.lives[life])

    def publish(self, port: str, session: str, kind: str) -> None:
        one = header(self.instance, session, port)
        cells, partition = self.lives[-1][port], partition_of(session)
        one.seq, one.life, one.kind = cells[partition], len(self.lives) - 1, kind
        cells[partition] += 1
        self.wire.append([f"src.{port}/{partition:02x}".encode(), encode_header(one, Number(1))])

    def sent(self, port: str) -> int:
        return sum(sum(cells[port][:64]) for cells in self.lives)


class Counting(RuleBasedStateMachine):
    @initialize(producers=st.integers(1, 2))
    def start(self, producers: int) -> None:
        self.context: zmq.Context[Any] = zmq.Context(0)
        self.producers = [Producer(f"src.{k}") for k in range(producers)]
        self.bound = bound(self.context, [producer.instance for producer in self.producers])
        keys = [(p.instance, f"src.{port}") for p in self.producers for port in PORTS]
        self.cells = Counts.in_memory(Index(expecting=keys)).expecting
        self.routes = {port: route(Edge("src", port, "dst", port)) for port in PORTS}
        self.delivered: dict[str, int] = dict.fromkeys(PORTS, 0)
        self.subscribe()

    def subscribe(self) -> None:
        """A life of the consumer."""
        self.end = StreamIn(
            self.context, "dst", 10, MAX_MESSAGE, lambda *key: self.cells[key], PayloadsIn(None), self.left_behind
        )
        for one in self.routes.values():
            self.end.add(one, [(p.instance, f"inproc://{p.instance}") for p in self.producers])

    def left_behind(self, instance: str, life: int) -> dict[str, int] | None:
        producer = next(p for p in self.producers if p.instance == instance)
        return producer.topics(life) if life < len(producer.lives) else None

    def deliver(self, item: Arrival | Ended) -> None:
        if isinstance(item, Arrival):
            self.delivered[item.route.edge.port] += 1

    def producer(self, pick: int) -> Producer:
        return self.producers[pick % len(self.producers)]

    @rule(pick=picks, port=st.sampled_from(PORTS), session=st.sampled_from(["anna", "ben", "cleo"]), times=st.integers(1, 4))
    def publish(self, pick: int, port: str, session: str, times: int) -> None:
        for _ in range(times):
            self.producer(pick).publish(port, session, Number.kind)

    @rule(pick=picks, port=st.sampled_from(PORTS))
    def publish_what_nobody_takes(self, pick: int, port: str) -> None:
        self.producer(pick).publish(port, "anna", "test.strange")

    @rule(pick=picks, which=picks)
    def lose(self, pick: int, which: int) -> None:
        wire = self.producer(pick).wire
        messages = [k for k, frames in enumerate(wire) if not frames[0].startswith(b"?")]
        if messages:
            del wire[messages[which % len(messages)]]

    @rule(pick=picks)
    def welcome_again(self, pick: int) -> None:
        """As after a connection was lost and made again."""
        self.producer(pick).welcome()

    @rule(pick=picks, times=st.integers(1, 5))
    def hear(self, pick: int, times: int) -> None:
        wire = self.producer(pick).wire
        for _ in range(min(times, len(wire))):
            self.end._take(wire.popleft(), self.deliver)

    @rule(pick=picks, arrives=st.integers(0, 6))
    def die(self, pick: int, arrives: int) -> None:
        """A producer is killed; of what is on its way the beginning still comes. Then it is there again."""
        producer = self.producer(pick)
        if len(producer.lives) > LIVES_SETTLED:
            return  # of more lives that were never heard of it does not promise to know
        while len(producer.wire) > arrives:
            producer.wire.pop()
        life = len(producer.lives) - 1
        producer.gone.append((life, producer.topics(life)))
        producer.begin()

    @rule(pick=picks)
    def hear_of_a_death(self, pick: int) -> None:
        producer = self.producer(pick)
        if producer.gone:
            self.end.gone(producer.instance, *producer.gone.popleft())

    @rule()
    def the_consumer_dies(self) -> None:
        """What was on its way is lost, also what the supervisor had to say; its next life knows how far it had heard."""
        self.end.close()
        for producer in self.producers:
            producer.wire.clear()
            producer.gone.clear()
            producer.welcome()
        self.subscribe()

    def book(self, port: str) -> int:
        found = counted(self.routes[port])
        return self.delivered[port] + found.dropped + found.rejected

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        for port in PORTS if hasattr(self, "end") else ():
            assert self.book(port) <= sum(p.sent(port) for p in self.producers)

    def teardown(self) -> None:
        if not hasattr(self, "end"):
            return
        try:
            for k, producer in enumerate(self.producers):
                life = len(producer.lives) - 1
                for _ in range(2):  # it may be repeated
                    producer.wire.append([b"?dst", encode(End(producer.instance, life, producer.topics(life)))])
                self.hear(k, len(producer.wire))
                while producer.gone:
                    self.hear_of_a_death(k)
            self.end.settle()
            for port in PORTS:
                assert self.book(port) == sum(p.sent(port) for p in self.producers), port
        finally:
            self.end.close()
            for made in self.bound:
                made.close()
            self.context.term()


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
