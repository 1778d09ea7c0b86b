"""The links of one instance, made from the plan: what it listens to, what it takes from, whom it feeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

import zmq

from graph.control import Absent, Gone
from graph.epoch import Epoch
from graph.links.base import Arrival, Ended, Route
from graph.links.counts import DELIVERED, Counts, EdgeStatistics, Index, owned, topics_of
from graph.links.dealer import Parcel
from graph.links.moving import StreamIn
from graph.links.payloads import STREAM, PayloadsIn, PayloadsOut
from graph.links.queue import CreditIn, QueueOut
from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
from graph.links.stream import StreamOut
from graph.links.taking import QueueIn
from graph.message import BodyDecoder
from graph.node import Node
from graph.plan import SOCKET_DEPTH, Edge, Instance
from graph.rundir import RunDir

END_LINGER_MS = 1000  # how long a leaving process keeps trying to hand over its last messages


class Wiring:
    """All sockets of an instance. Binding happens here, so a port in use is known before a model is loaded."""

    def __init__(
        self,
        epoch: Epoch,
        instance: Instance,
        life: int,
        cls: type[Node],
        run: RunDir,
        set_aside: Callable[[Edge, list[Parcel]], None],
    ) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.epoch = epoch
        self._plan = plan = epoch.plan
        self._me = instance
        self.instance, self.life = instance.id, life
        self._life = life
        self._run = run
        self._endpoint = run.endpoint
        self._foreign = epoch.programs  # they map no memory of ours
        self._cls = cls
        self.interrupting = {name for name, port in cls.outputs().items() if port.interrupts}  # outputs
        self._set_aside = set_aside
        self._committed = epoch.committed
        quits = {e.id for e in epoch.quits(instance.id)} if epoch.committed else ()
        self._into = into = [e for e in self._inputs_of(epoch) if e.id not in quits]
        self._out = out = epoch.out(instance.id)
        self._absent: dict[str, bool] = {}  # instances that have failed or were stopped, and whether for good
        self._said_all = False  # nothing more goes to queues
        self._loaded = False
        self._departed: list[tuple[str, str]] = []  # producers that our former life heard, and their ports
        self._unheard: set[str] = set()  # streams that came with this life
        self._begun: set[str] = set()  # edges that come in this change, and that our former life had begun with
        self.counts = self._make_counts(life, list(cls.outputs()))
        self._make_payloads(run, life)
        self._consumers = self._stream_consumers()
        depth = max(SOCKET_DEPTH, max([e.depth for e in out + into if e.link == "stream"], default=1000))
        self.streams_out = StreamOut(
            self.context,
            instance.id,
            life,
            instance.node,
            self._endpoint(instance.out),
            {one for one in self._consumers if not self._comes(one)},
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
            self._left_behind,
        )
        self.credit: CreditIn | None = None
        self.queues_in: QueueIn | None = None
        self._queues_out: list[QueueOut] = []
        self.queues_out: dict[str, list[QueueOut]] = {}  # by port, those that are in use
        self.routes: dict[str, Route] = {}
        self._bind_queues()
        for edge in out:
            if edge.link == "queue":
                self._queues_out.append(self._make_queue_out(edge))
        self._use_queues()
        for edge in into:
            self._listen(edge)
        for producer, source in self._departed:
            self.streams_in.missed(producer, source, run.last_life(producer))
        self._begun.clear()
        self.streams_in.subscribe_notices()

    def _inputs_of(self, epoch: Epoch) -> list[Edge]:
        """The edges that lead to us. (Those that only the next version has an input for are its.)"""
        return [e for e in epoch.into(self.instance) if e.input in self._cls.inputs()]

    @property
    def _stays(self) -> bool:
        """True of an instance that was there before the change and will be there when it is done."""
        return self.instance not in self.epoch.leaving | self.epoch.joining

    def _stream_consumers(self) -> set[str]:
        return {i.id for e in self._out if e.link == "stream" for i in self.epoch.consumers(e)}

    def _comes(self, instance: str) -> bool:
        """True of one that joins a running graph: it may take long to load, and nobody waits for it who is there already."""
        return instance in self.epoch.joining and self.instance not in self.epoch.joining

    def _make_counts(self, life: int, ports: list[str]) -> Counts:
        # What was sent since the former life died is lost, and will be seen to be. A life that was killed before it had
        # come so far has left nothing.
        left = (Counts.read(self._run.counts(self._me.id, former)) for former in reversed(range(life)))
        former = next((counts for counts in left if counts is not None), None)
        expected = self._expected()
        if former is not None:
            sources = {source for _, source in expected}
            self._departed = [key for key in former.expecting if key[1] in sources and not self.epoch.has(key[0])]
            self._unheard = sources - {source for _, source in former.expecting}
            if self._committed:
                self._begun = {edge for edge, cells in former.edges.items() if cells[DELIVERED]}
        index = Index(
            edges=self._counted(),
            lanes=self._lanes(),
            sending=ports,
            expecting=expected + self._departed,
        )
        return Counts.create(self._run.counts(self._me.id, life), index, former)

    def _counted(self) -> list[str]:
        return [e.id for e in self._into] + [e.id for e in self._out if e.link == "queue"]

    def _lanes(self) -> list[tuple[str, str]]:
        return [(e.id, p.id) for e in self._into if e.link == "queue" for p in self.epoch.producers(e)]

    def _expected(self) -> list[tuple[str, str]]:
        streams = (e for e in self._into if e.link == "stream")
        return sorted({(p.id, f"{e.producer}.{e.port}") for e in streams for p in self.epoch.producers(e)})

    def _left_behind(self, producer: str, life: int) -> dict[str, int] | None:
        """What a life of a producer has sent, from its own counters."""
        counts = Counts.read(self._run.counts(producer, life))
        node = next((source.rpartition(".")[0] for one, source in self.counts.expecting if one == producer), "")
        return None if counts is None else topics_of(node, counts.sending)

    def _make_payloads(self, run: RunDir, life: int) -> None:
        capacity = self._plan.shared_memory
        ring_out = RingOut(run.rings, self._me.id, life, capacity) if capacity and self._cls.outputs() else None
        ring_in = RingIn(run.rings, self._me.id, life) if capacity and self._cls.inputs() else None
        self._payloads_out = PayloadsOut(ring_out, self._readers, self._foreign)
        self._payloads_in = PayloadsIn(ring_in)

    @cache  # noqa: B019 (one wiring a process)
    def _readers(self, port: str, partition: int) -> Collection[str] | None:
        """Who will read what is published on a port: of replicas the one whose sessions lie in that partition."""
        found = set()
        for edge in self._out:
            if (edge.port, edge.link) == (port, "stream"):
                consumers = self.epoch.consumers(edge)
                if self._foreign and not self._foreign.isdisjoint(c.id for c in consumers):
                    return None
                for consumer in consumers:
                    share = self.epoch.share(consumer.id)
                    if partition in share.now | share.then:
                        found.add(consumer.id)
        return found

    def _bind_queues(self) -> None:
        """Where work and acknowledgements come in, once there is an edge that needs it. (What came with a change that was
        undone may come again with another address.)"""
        me = self._me = self.epoch.instance(self.instance)
        work, credit = (self._endpoint(one) if one else "" for one in (me.work, me.credit))
        if self.credit is not None:
            self.credit.listen(credit)
        elif credit:
            self.credit = CreditIn(self.context, credit)
        if self.queues_in is not None:
            self.queues_in.listen(work)
        elif work:
            self.queues_in = QueueIn(
                self.context,
                me.id,
                self._life,
                work,
                self._plan.max_message,
                lambda edge, producer: self.counts.lanes[edge, producer],
                self._payloads_in,
                self._cls.repeatable,
            )

    def _make_queue_out(self, edge: Edge) -> QueueOut:
        takers = [taker for taker in self.epoch.consumers(edge) if not self._comes(taker.id)]
        queue = QueueOut(
            self.context,
            edge,
            (self.instance, self._life),
            takers,
            [self._endpoint(t.work) for t in takers],
            self.counts.edges[edge.id],
            self._payloads_out,
            self._set_aside,
        )
        for taker in self.epoch.consumers(edge):
            queue.meet(taker.id, self._endpoint(taker.work))
            if taker.id in self._absent:
                queue.absent(taker.id, self._absent[taker.id])
        if self._said_all:  # it comes when all has been said
            queue.end()
        return queue

    def _use_queues(self) -> None:
        """Which queues a message goes to: a link that comes is used once the hand-over has begun, one that goes until then."""
        unused = self.epoch.going if self._committed else self.epoch.coming
        self.queues_out = {}
        for queue in self._queues_out:
            if queue.edge.id not in unused or not self._stays:
                self.queues_out.setdefault(queue.edge.port, []).append(queue)

    def _listen(self, edge: Edge) -> None:
        taken = self._cls.inputs()[edge.input]
        if edge.id not in self.routes:
            cells = self.counts.edges[edge.id]
            self.routes[edge.id] = Route(edge, BodyDecoder(taken.kinds), taken.interrupts, cells, past=taken.past)
        if edge.link == "stream":
            # What was said before a link came is not for us: it is listened to as what is gained.
            comes, share = edge.id in self.epoch.coming, self.epoch.share(self.instance)
            source = f"{edge.producer}.{edge.port}"
            begun = edge.id in self._begun and source.encode() not in self.epoch.inherited(self.instance)
            new = (comes and not begun) or source in self._unheard
            there = [p for p in self.epoch.producers(edge) if not self._comes(p.id)]
            mine = frozenset[int]() if new else share.then if comes else share.now | (share.then & self._taken_over(source))
            self.streams_in.add(self.routes[edge.id], [(p.id, self._endpoint(p.out)) for p in there], mine)
        for producer in self.epoch.producers(edge):
            self._meet_producer(edge, producer)

    def _taken_over(self, source: str) -> frozenset[int]:
        """Partitions of a stream that a former life of ours has taken over in this change."""
        if not self._committed:
            return frozenset()
        known = [owned(self.counts.expecting[key]) for key in self._expected() if key[1] == source]
        return frozenset.intersection(*known) if known else frozenset()

    def _meet_producer(self, edge: Edge, producer: Instance) -> None:
        if producer.id not in self._foreign:
            self._payloads_in.attach(producer.id, edge.id if edge.link == "queue" else STREAM)
        if edge.link == "queue" and self.queues_in is not None:
            self.queues_in.add(self.routes[edge.id], [(producer.id, self._endpoint(producer.credit))], self._shared)
        else:
            self.streams_in.meet(self.routes[edge.id], producer.id, self._endpoint(producer.out), self._comes(producer.id))
            self.streams_in.absent(producer.id, producer.id in self._absent)

    @property
    def _shared(self) -> bool:
        """True where there are other replicas of this node."""
        return len(self.epoch.of(self._me.node)) > 1

    def greet(self) -> None:
        """Loaded: whoever gives out work may begin, and what we gain is listened to. (Before, nobody would read it: the
        sockets would fill up, and drop what is needed later.)"""
        self._loaded = True
        if self.queues_in is not None:
            self.queues_in.greet()
        self.gain()

    @property
    def ready(self) -> bool:
        """True once every link stands at both ends: nothing sent from now on is lost for want of a listener."""
        streams = self.streams_out.ready and self.streams_in.ready and self.streams_in.starts is not None
        return streams and all(queue.ready or queue.retired for queue in self._queues_out)

    @property
    def awaited(self) -> dict[str, set[str]]:
        """By input edge, the producer instances whose end the drain waits for."""
        gone = {instance for instance, final in self._absent.items() if final}
        return {e.id: {p.id for p in self.epoch.producers(e)} - gone for e in self._into if not e.feedback}

    @property
    def linked(self) -> list[str]:
        """The input edges that there are now; those that come are there when the hand-over has begun."""
        there = self._committed or not self._stays
        return [edge.id for edge in self._into if there or edge.id not in self.epoch.coming]

    def connected(self, port: str) -> bool:
        """True where an input or an output has a link."""
        return any(edge.input == port for edge in self._into) or any(edge.port == port for edge in self._out)

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

    def withdraw(self, session: str, turn: tuple[int, int]) -> None:
        """What a session was told in turns older than this (turn, revision) is stale: queues let it go."""
        for queue in self._queues_out:
            queue.withdraw(session, turn)

    def absent(self, notice: Absent) -> Ended | None:
        """An instance has failed or was stopped: nobody waits for it. What of ours has ended with it, when it is for good."""
        self._absent[notice.instance] = notice.final
        self.streams_out.absent(notice.instance)
        self.streams_in.absent(notice.instance, True)
        for queue in self._queues_out:
            queue.absent(notice.instance, notice.final)
        edges = tuple(edge.id for edge in self._into)
        return Ended(notice.instance, edges) if notice.final and edges else None

    def expected(self, instance: str) -> None:
        """One that was absent is started again."""
        self._absent.pop(instance, None)
        self.streams_in.absent(instance, False)
        for queue in self._queues_out:
            queue.expected(instance)

    def gain(self) -> None:
        """Listen to what will be ours, and hold it back until it is."""
        then = self.epoch.share(self.instance).then
        if self.streams_in.lacks(then):
            self.streams_in.gain(then, self.epoch.number)

    @property
    def node(self) -> str:
        """The name of the node that this is an instance of."""
        return self._me.node

    def look(self, now_ns: int, deliver: Callable[[Arrival | Ended], None]) -> None:
        """To be called now and then, for what has been waited for long enough."""
        if self.queues_in is not None:
            self.queues_in.look(now_ns)
        self.streams_in.look(deliver)

    @property
    def trouble(self) -> str:
        """Why shared memory cannot be used, or not as much of it; empty when all is well."""
        return self._payloads_out.trouble or self._payloads_in.trouble

    @property
    def needs_look_out(self) -> bool:
        """True where somebody waits while a handler runs long: a stream, or a producer with other takers than this one."""
        return any(route.edge.link == "stream" or self._shared for route in self.routes.values())

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
        self._said_all = True
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
