"""The links of one instance, made from the plan: what it listens to, what it takes from, whom it feeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

import zmq

from graph.control import Absent, Gone
from graph.links.base import Arrival, Ended, Route, partitions_of_replica
from graph.links.counts import Counts, EdgeStatistics, Index
from graph.links.dealer import Parcel
from graph.links.hearing import StreamIn
from graph.links.payloads import STREAM, PayloadsIn, PayloadsOut
from graph.links.queue import CreditIn, QueueOut
from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
from graph.links.stream import StreamOut, topics_of
from graph.links.taking import QueueIn
from graph.message import BodyDecoder
from graph.node import Node
from graph.plan import Edge, Instance, Plan
from graph.rundir import RunDir

SOCKET_DEPTH = 64  # messages that a socket of a stream may hold at least, however short the stream's own `depth`
END_LINGER_MS = 1000  # how long a leaving process keeps trying to hand over its last messages


class Wiring:
    """All sockets of an instance. Binding happens here, so a port in use is known before a model is loaded."""

    def __init__(
        self,
        plan: Plan,
        instance: Instance,
        life: int,
        cls: type[Node],
        run: RunDir,
        set_aside: Callable[[Edge, list[Parcel]], None],
    ) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self._plan = plan
        self._me = instance
        self._life = life
        self._endpoint = run.endpoint
        self._foreign = {i.id for i in plan.instances if plan.node(i.node).command}  # they map no memory of ours
        into = [e for e in plan.edges if e.consumer == instance.node]
        out = [e for e in plan.edges if e.producer == instance.node]
        self.counts = self._make_counts(run, life, into, out, list(cls.outputs()))
        self._make_payloads(run, life)
        self._consumers = {i.id for e in out if e.link == "stream" for i in self._instances(e.consumer)}
        depth = max(SOCKET_DEPTH, max([e.depth for e in out + into if e.link == "stream"], default=1000))
        self.streams_out = StreamOut(
            self.context,
            instance.id,
            life,
            instance.node,
            self._endpoint(instance.out),
            self._consumers,
            depth,
            self.counts.sending,
            self._payloads_out,
        )
        self.streams_in = StreamIn(
            self.context,
            instance.id,
            depth,
            plan.max_message,
            lambda producer, port: self.counts.expecting[producer, port],
            self._payloads_in,
            lambda producer, life: self._left_behind(run, producer, life),
        )
        self.credit = CreditIn(self.context, self._endpoint(instance.credit)) if instance.credit else None
        self.queues_in = self._make_queues_in(life, cls.repeatable) if instance.work else None
        self.queues_out: dict[str, list[QueueOut]] = {}
        for edge in out:
            if edge.link == "queue":
                self.queues_out.setdefault(edge.port, []).append(self._make_queue_out(edge, life, set_aside))
        self._queues_out = [queue for queues in self.queues_out.values() for queue in queues]
        inputs = cls.inputs()
        self.routes = {
            e.id: Route(e, BodyDecoder(inputs[e.input].kinds), inputs[e.input].interrupts, self.counts.edges[e.id])
            for e in into
        }
        for edge in into:
            self._listen(edge)
        self.streams_in.subscribe_notices()

    def _make_counts(self, run: RunDir, life: int, into: list[Edge], out: list[Edge], ports: list[str]) -> Counts:
        streams, queues = [e for e in into if e.link == "stream"], [e for e in into if e.link == "queue"]
        index = Index(
            edges=[e.id for e in into] + [e.id for e in out if e.link == "queue"],
            lanes=[(e.id, p.id) for e in queues for p in self._instances(e.producer)],
            sending=ports,
            expecting=sorted({(p.id, f"{e.producer}.{e.port}") for e in streams for p in self._instances(e.producer)}),
        )
        # What was sent since the former life died is lost, and will be seen to be. A life that was killed before it had
        # come so far has left nothing.
        left = (Counts.read(run.counts(self._me.id, former)) for former in reversed(range(life)))
        return Counts.create(
            run.counts(self._me.id, life), index, next((counts for counts in left if counts is not None), None)
        )

    def _left_behind(self, run: RunDir, producer: str, life: int) -> dict[str, int] | None:
        """What a life of a producer has sent, from its own counters."""
        counts = Counts.read(run.counts(producer, life))
        return None if counts is None else topics_of(self._plan.instance(producer).node, counts.sending)

    def _make_payloads(self, run: RunDir, life: int) -> None:
        capacity = self._plan.shared_memory
        feeds = any(e.producer == self._me.node for e in self._plan.edges)
        takes = any(e.consumer == self._me.node for e in self._plan.edges)
        ring_out = RingOut(run.rings, self._me.id, life, capacity) if capacity and feeds else None
        ring_in = RingIn(run.rings, self._me.id, life) if capacity and takes else None
        self._payloads_out = PayloadsOut(ring_out, self._readers, self._foreign)
        self._payloads_in = PayloadsIn(ring_in)

    @cache  # noqa: B019 (one wiring a process)
    def _readers(self, port: str, partition: int) -> Collection[str] | None:
        """Who will read what is published on a port: of replicas the one whose sessions lie in that partition."""
        found = set()
        for edge in self._plan.edges:
            if (edge.producer, edge.port, edge.link) == (self._me.node, port, "stream"):
                consumers = self._instances(edge.consumer)
                if self._foreign and not self._foreign.isdisjoint(c.id for c in consumers):
                    return None
                found |= {c.id for c in consumers if partition in partitions_of_replica(c.replica, len(consumers))}
        return found

    def _make_queues_in(self, life: int, repeatable: bool) -> QueueIn:
        return QueueIn(
            self.context,
            self._me.id,
            life,
            self._endpoint(self._me.work),
            self._plan.max_message,
            lambda edge, producer: self.counts.lanes[edge, producer],
            self._payloads_in,
            repeatable,
        )

    def _make_queue_out(self, edge: Edge, life: int, set_aside: Callable[[Edge, list[Parcel]], None]) -> QueueOut:
        takers = self._instances(edge.consumer)
        return QueueOut(
            self.context,
            edge,
            (self._me.id, life),
            takers,
            [self._endpoint(t.work) for t in takers],
            self.counts.edges[edge.id],
            self._payloads_out,
            set_aside,
        )

    def _instances(self, node: str) -> list[Instance]:
        return [i for i in self._plan.instances if i.node == node]

    def _listen(self, edge: Edge) -> None:
        producers = self._instances(edge.producer)
        route = self.routes[edge.id]
        replicas = len(self._instances(self._me.node))
        for producer in producers:
            if producer.id in self._foreign:
                continue
            self._payloads_in.attach(producer.id, edge.id if edge.link == "queue" else STREAM)
        if edge.link == "queue" and self.queues_in is not None:
            self.queues_in.add(route, [(p.id, self._endpoint(p.credit)) for p in producers], replicas > 1)
        else:
            self.streams_in.add(route, [(p.id, self._endpoint(p.out)) for p in producers], self._me.replica, replicas)

    @property
    def ready(self) -> bool:
        """True once every link stands at both ends: nothing sent from now on is lost for want of a listener."""
        return self.streams_out.ready and self.streams_in.ready and all(q.ready for q in self._queues_out)

    @property
    def awaited(self) -> dict[str, set[str]]:
        """By input edge, the producer instances whose end the drain waits for."""
        return {
            e.id: {p.id for p in self._instances(e.producer)}
            for e in self._plan.edges
            if e.consumer == self._me.node and not e.feedback
        }

    def poller(self, *descriptors: Any) -> zmq.Poller:
        """A poller over everything that can wake the node: its sockets, and behind them the given descriptors."""
        poller = zmq.Poller()
        sockets = [self.streams_out.socket, self.streams_in.socket]
        sockets += [end.socket for end in (self.credit, self.queues_in) if end is not None]
        for one in [*sockets, *descriptors]:
            poller.register(one, zmq.POLLIN)
        return poller

    def receive(self, ready: Iterable[tuple[Any, int]], deliver: Callable[[Arrival | Ended], None], most: int) -> None:
        """Serve the links (subscriptions, credits) and deliver what has come for the node, without waiting.

        :param ready: what a poll of `poller` found.
        :param most: messages to take from each socket.
        """
        for made, _ in ready:
            if made is self.streams_in.socket:
                self.streams_in.receive(deliver, most)
            elif self.queues_in is not None and made is self.queues_in.socket:
                self.queues_in.receive(deliver, most)
            elif self.credit is not None and made is self.credit.socket:
                self._take_credit(self.credit)
            elif made is self.streams_out.socket:
                self.streams_out.read_subscriptions()

    def _take_credit(self, credit: CreditIn) -> None:
        for notice in credit.receive():
            for queue in self._queues_out:
                queue.credit(notice)

    def gone(self, notice: Gone) -> None:
        """An instance died; the supervisor tells what it had sent and counted."""
        self.streams_in.gone(notice.instance, notice.life, notice.sent)
        self._payloads_out.forget(notice.instance, notice.life)
        for queue in self._queues_out:
            lane = notice.lanes.get(queue.edge.id, {}).get(self._me.id)
            counted, in_hand = (None, None) if lane is None else (lane.counted, lane.in_hand)
            if lane is not None and lane.producer_life != self._life:
                counted, in_hand = 0, -1  # it had not heard of this life yet
            queue.gone(notice.instance, notice.life, counted, in_hand)

    def absent(self, notice: Absent) -> Ended | None:
        """An instance has failed or was stopped: nobody waits for it. What of ours has ended with it, when it is for good."""
        self.streams_out.absent(notice.instance)
        self.streams_in.absent(notice.instance, True)
        for queue in self._queues_out:
            queue.absent(notice.instance, notice.final)
        edges = tuple(edge for edge, producers in self.awaited.items() if notice.instance in producers)
        return Ended(notice.instance, edges) if notice.final and edges else None

    def expected(self, instance: str) -> None:
        """One that was absent is started again."""
        self.streams_in.absent(instance, False)
        for queue in self._queues_out:
            queue.expected(instance)

    @property
    def trouble(self) -> str:
        """Why shared memory cannot be used, or not as much of it; empty when all is well."""
        return self._payloads_out.trouble or self._payloads_in.trouble

    @property
    def needs_look_out(self) -> bool:
        """True where somebody waits while a handler runs long: a stream, or a producer with other takers than this one."""
        shared = len(self._instances(self._me.node)) > 1
        return any(route.edge.link == "stream" or shared for route in self.routes.values())

    def acknowledge(self) -> None:
        """Send all acknowledgements held back."""
        if self.queues_in is not None:
            self.queues_in.flush()

    @property
    def settled(self) -> bool:
        """True when every queue message has been handed to a taker, and none is kept for the case that it dies."""
        return all(q.settled for q in self._queues_out)

    @property
    def finished(self) -> bool:
        """True when every queue message has been acknowledged."""
        return all(q.finished for q in self._queues_out)

    @property
    def strangers(self) -> int:
        """Frames that could not be read and belong to no edge."""
        ends = (self.streams_in, self.credit, self.queues_in)
        return sum(end.strangers for end in ends if end is not None)

    def end(self) -> None:
        """Tell the consumers of streams that nothing more will come; may be repeated, in case it was not heard."""
        self.streams_out.end(self._consumers)

    def end_queues(self) -> None:
        """Tell the takers that nothing more will come; once, when `settled`."""
        for queue in self._queues_out:
            queue.end()

    def statistics(self) -> dict[str, EdgeStatistics]:
        """By edge id, what this instance has counted at its end."""
        return self.counts.statistics()

    def close(self) -> None:
        """Close all sockets; what was already sent gets a second to leave. Socket files are removed by libzmq."""
        self.streams_in.settle()
        self.streams_in.close()
        self.streams_out.close(END_LINGER_MS)
        for queue in self._queues_out:
            queue.close(END_LINGER_MS)
        for end in (self.credit, self.queues_in):
            if end is not None:
                end.close()
        self.context.term()
        self._payloads_in.close()
        self._payloads_out.close()
