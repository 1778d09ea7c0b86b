"""Both ends of a link in one process, over real ipc sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import zmq

from graph.links.base import Arrival, Ended, Route
from graph.links.counts import Counts, EdgeStatistics, Index, statistics
from graph.links.dealer import Parcel
from graph.links.moving import StreamIn
from graph.links.partitions import partitions_of_replica
from graph.links.payloads import PayloadsIn, PayloadsOut
from graph.links.queue import CreditIn, QueueOut
from graph.links.stream import StreamOut
from graph.links.taking import QueueIn
from graph.message import PROTOCOL, BodyDecoder, Header, Kind, now_ns
from graph.plan import Edge, Instance

MAX_MESSAGE = 1_000_000
NO_RING_OUT = PayloadsOut(None, lambda port, partition: None)


class Number(Kind, frozen=True, omit_defaults=True):
    kind: ClassVar[str] = "test.number"
    n: int = 0


def route(edge: Edge) -> Route:
    return Route(edge, BodyDecoder((Number,)), False, Counts.in_memory(Index(edges=[edge.id])).edges[edge.id])


def counted(one: Route | QueueOut) -> EdgeStatistics:
    """What an end of an edge has counted."""
    return statistics(one.cells)


def header(instance: str = "src", session: str = "default", port: str = "out") -> Header:
    return Header(PROTOCOL, Number.kind, port, instance, 0, session=session)


def bound(context: zmq.Context[Any], instances: Iterable[str]) -> list[zmq.Socket[bytes]]:
    """Somebody to connect to: libzmq may crash when a context ends while two still wait for one inproc endpoint."""
    sockets = []
    for instance in instances:
        sockets.append(context.socket(zmq.PUB))
        sockets[-1].bind(f"inproc://{instance}")
    return sockets


def until(condition: Callable[[], Any], serve: Callable[[], None], attempts: int = 10_000) -> None:
    """Serve the sockets until a condition holds; fails, not hangs, when it never does."""
    for _ in range(attempts):
        serve()
        if condition():
            return
        zmq.select([], [], [], timeout=0.002)
    raise AssertionError("it never happened")


class StreamEnds:
    """One producer and its consumers."""

    def __init__(self, folder: Path, replicas: int = 1, depth: int = 1000, life: int = 0) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        endpoint = f"ipc://{folder}/src.out"
        names = [f"dst.{k}" for k in range(replicas)]
        self.folder, self.names, self.depth = folder, names, depth
        self.out = self.publisher(life)
        self.routes = [route(Edge("src", "out", "dst", "x", depth=depth)) for _ in names]
        self.ins = [self.subscriber(name) for name in names]
        self.got: list[list[Arrival | Ended]] = [[] for _ in names]
        for k, (end, one) in enumerate(zip(self.ins, self.routes, strict=True)):
            end.add(one, [("src", endpoint)], frozenset(partitions_of_replica(k, replicas)))
            end.subscribe_notices()

    def publisher(self, life: int) -> StreamOut:
        """A life of the producer."""
        sending = Counts.in_memory(Index(sending=["out"])).sending
        where = f"ipc://{self.folder}/src.out"
        return StreamOut(self.context, "src", life, "src", where, self.names, self.depth, sending, NO_RING_OUT)

    def subscriber(self, name: str) -> StreamIn:
        cells = Counts.in_memory(Index(expecting=[("src", "src.out")])).expecting
        return StreamIn(self.context, name, self.depth, MAX_MESSAGE, lambda *key: cells[key], PayloadsIn(None))

    def serve(self) -> None:
        self.out.read_subscriptions()
        for end, got in zip(self.ins, self.got, strict=True):
            end.receive(got.append)

    def connect(self) -> None:
        until(lambda: self.out.ready and all(end.ready for end in self.ins), self.serve)

    def close(self) -> None:
        self.out.close(0)
        for end in self.ins:
            end.close()
        self.context.term()


class QueueEnds:
    """One producer and its takers."""

    def __init__(self, folder: Path, takers: int = 1, **edge: Any) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.edge = Edge("src", "out", "dst", "x", link="queue", **{"depth": 64, "when_full": "block", **edge})
        instances = [Instance(f"dst.{k}", "dst", k, work=f"ipc://{folder}/dst.{k}.work") for k in range(takers)]
        self.credit = CreditIn(self.context, f"ipc://{folder}/src.credit")
        self.instances = instances
        self.takers = [self.taker(i) for i in instances]
        self.routes = [route(self.edge) for _ in instances]
        self.aside: list[Parcel] = []
        self.out = QueueOut(
            self.context,
            self.edge,
            ("src", 0),
            instances,
            [i.work for i in instances],
            Counts.in_memory(Index(edges=[self.edge.id])).edges[self.edge.id],
            NO_RING_OUT,
            lambda edge, parcels: self.aside.extend(parcels),
        )
        self.got: list[list[Arrival | Ended]] = [[] for _ in instances]
        for taker, one in zip(self.takers, self.routes, strict=True):
            taker.add(one, [("src", f"ipc://{folder}/src.credit")])
            taker.greet()

    def taker(self, instance: Instance, life: int = 0) -> QueueIn:
        """A life of a taker."""
        lanes = Counts.in_memory(Index(lanes=[(self.edge.id, "src")])).lanes
        cells = lanes[self.edge.id, "src"]
        return QueueIn(self.context, instance.id, life, instance.work, MAX_MESSAGE, lambda *_: cells, PayloadsIn(None))

    def serve(self) -> None:
        for notice in self.credit.receive():
            self.out.credit(notice)
        for taker, got in zip(self.takers, self.got, strict=True):
            taker.receive(got.append)

    def connect(self) -> None:
        until(lambda: self.out.ready, self.serve)

    def finish(self, taker: int) -> int:
        """Handle and acknowledge what a taker holds; returns how many."""
        held = [a for a in self.got[taker] if isinstance(a, Arrival) and a.lane is not None]
        for arrival in held:
            self.takers[taker].begin(arrival, now_ns())
            self.takers[taker].finished(arrival)
            arrival.lane = None
        self.takers[taker].flush()
        return len(held)

    def numbers(self, taker: int) -> list[int]:
        return list(numbers(self.got[taker]))

    def close(self) -> None:
        self.out.close(0)
        self.credit.close()
        for taker in self.takers:
            taker.close()
        self.context.term()


def numbers(got: list[Arrival | Ended]) -> Iterator[int]:
    for arrival in got:
        if isinstance(arrival, Arrival):
            yield arrival.message.body.n
