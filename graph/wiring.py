"""The links of one instance, made from the plan: what it listens to, what it takes from, whom it feeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import Any

import zmq

from graph.control import Absent, Gone
from graph.epoch import Epoch
from graph.links.base import Arrival, Ended, Route
from graph.links.counts import Counts, EdgeStatistics, Index
from graph.links.dealer import Parcel
from graph.links.moving import StreamIn
from graph.links.payloads import STREAM, PayloadsIn, PayloadsOut
from graph.links.queue import CreditIn, QueueOut
from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
from graph.links.stream import StreamOut, topics_of
from graph.links.taking import QueueIn
from graph.message import BodyDecoder, now_ns
from graph.node import Node
from graph.plan import Edge, Instance
from graph.rundir import RunDir

SOCKET_DEPTH = 64  # messages that a socket of a stream may hold at least, however short the stream's own `depth`
LEAVE_NS = 15_000_000_000  # that whoever is not in the plan any more may take to leave
FORGET_NS = 5_000_000_000  # after an instance has left: by then all has been read that it has said
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
        self._foreign = {i.id for i in epoch.instances if epoch.node(i.id).command}  # they map no memory of ours
        self._into = into = [e for e in epoch.edges if e.consumer == instance.node]
        self._out = out = [e for e in epoch.edges if e.producer == instance.node]
        self._absent: set[str] = set()  # instances that have failed or were stopped
        self._to_leave: dict[str, int] = {}  # by instance that is not in the plan any more, when it must have gone
        self._gone: dict[str, int] = {}  # by instance that has left, when its links may be taken down
        self._departed: list[tuple[str, str]] = []  # producers that our former life heard, and their ports
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
        for producer, source in self._departed:
            self.streams_in.missed(producer, source, run.last_life(producer))
        self.streams_in.subscribe_notices()
        if epoch.committed:
            self.part_queues()

    def _stream_consumers(self) -> set[str]:
        return {i.id for e in self._out if e.link == "stream" for i in self._instances(e.consumer)}

    def _comes(self, instance: str) -> bool:
        """True of one that joins a running graph: it may take long to load, and nobody waits for it."""
        return self.epoch.before is not None and instance in self.epoch.joining

    def _make_counts(self, life: int, ports: list[str]) -> Counts:
        # What was sent since the former life died is lost, and will be seen to be. A life that was killed before it had
        # come so far has left nothing.
        left = (Counts.read(self._run.counts(self._me.id, former)) for former in reversed(range(life)))
        former = next((counts for counts in left if counts is not None), None)
        expected = self._expected()
        if former is not None:
            sources = {source for _, source in expected}
            self._departed = [key for key in former.expecting if key[1] in sources and not self.epoch.has(key[0])]
        index = Index(
            edges=[e.id for e in self._into] + [e.id for e in self._out if e.link == "queue"],
            lanes=self._lanes(),
            sending=ports,
            expecting=expected + self._departed,
        )
        return Counts.create(self._run.counts(self._me.id, life), index, former)

    def _lanes(self) -> list[tuple[str, str]]:
        return [(e.id, p.id) for e in self._into if e.link == "queue" for p in self._instances(e.producer)]

    def _expected(self) -> list[tuple[str, str]]:
        streams = (e for e in self._into if e.link == "stream")
        return sorted({(p.id, f"{e.producer}.{e.port}") for e in streams for p in self._instances(e.producer)})

    def _left_behind(self, producer: str, life: int) -> dict[str, int] | None:
        """What a life of a producer has sent, from its own counters."""
        counts = Counts.read(self._run.counts(producer, life))
        node = next((source.rpartition(".")[0] for one, source in self.counts.expecting if one == producer), "")
        return None if counts is None else topics_of(node, counts.sending)

    def _make_payloads(self, run: RunDir, life: int) -> None:
        capacity = self._plan.shared_memory
        ring_out = RingOut(run.rings, self._me.id, life, capacity) if capacity and self._out else None
        ring_in = RingIn(run.rings, self._me.id, life) if capacity and self._into else None
        self._payloads_out = PayloadsOut(ring_out, self._readers, self._foreign)
        self._payloads_in = PayloadsIn(ring_in)

    @cache  # noqa: B019 (one wiring a process)
    def _readers(self, port: str, partition: int) -> Collection[str] | None:
        """Who will read what is published on a port: of replicas the one whose sessions lie in that partition."""
        found = set()
        for edge in self._out:
            if (edge.port, edge.link) == (port, "stream"):
                consumers = self._instances(edge.consumer)
                if self._foreign and not self._foreign.isdisjoint(c.id for c in consumers):
                    return None
                for consumer in consumers:
                    share = self.epoch.share(consumer.id)
                    if partition in share.now | share.then:
                        found.add(consumer.id)
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
        takers = [taker for taker in self._instances(edge.consumer) if not self._comes(taker.id)]
        queue = QueueOut(
            self.context,
            edge,
            (self._me.id, life),
            takers,
            [self._endpoint(t.work) for t in takers],
            self.counts.edges[edge.id],
            self._payloads_out,
            set_aside,
        )
        for taker in self._instances(edge.consumer):
            queue.meet(taker.id, self._endpoint(taker.work))
        return queue

    def _instances(self, node: str) -> list[Instance]:
        return self.epoch.of(node)

    def _listen(self, edge: Edge) -> None:
        producers = self._instances(edge.producer)
        route = self.routes[edge.id]
        for producer in producers:
            if producer.id in self._foreign:
                continue
            self._payloads_in.attach(producer.id, edge.id if edge.link == "queue" else STREAM)
        if edge.link == "queue" and self.queues_in is not None:
            self.queues_in.add(route, [(p.id, self._endpoint(p.credit)) for p in producers], self._shared)
        else:
            share = self.epoch.share(self._me.id)
            there = [(p.id, self._endpoint(p.out)) for p in producers if not self._comes(p.id)]
            self.streams_in.add(route, there, share.now)
            for producer in producers:
                self.streams_in.meet(route, producer.id, self._endpoint(producer.out), comes=True)

    @property
    def _shared(self) -> bool:
        """True where there are other replicas of this node."""
        return len(self._instances(self._me.node)) > 1

    def greet(self) -> None:
        """Loaded: whoever gives out work may begin, and what we gain is listened to. (Before, nobody would read it: the
        sockets would fill up, and drop what is needed later.)"""
        if self.queues_in is not None:
            self.queues_in.greet()
        self._gain()

    @property
    def ready(self) -> bool:
        """True once every link stands at both ends: nothing sent from now on is lost for want of a listener."""
        streams = self.streams_out.ready and self.streams_in.ready and self.streams_in.starts is not None
        return streams and all(queue.ready for queue in self._queues_out)

    @property
    def awaited(self) -> dict[str, set[str]]:
        """By input edge, the producer instances whose end the drain waits for."""
        return {e.id: {p.id for p in self._instances(e.producer)} for e in self._into if not e.feedback}

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
        self._absent.add(notice.instance)
        self.streams_out.absent(notice.instance)
        self.streams_in.absent(notice.instance, True)
        for queue in self._queues_out:
            queue.absent(notice.instance, notice.final)
        edges = tuple(edge.id for edge in self._into)
        if notice.final and all(notice.instance != i.id for i in self.epoch.plan.instances):
            self._left(notice.instance)
        return Ended(notice.instance, edges) if notice.final and edges else None

    def expected(self, instance: str) -> None:
        """One that was absent is started again."""
        self._absent.discard(instance)
        self.streams_in.absent(instance, False)
        for queue in self._queues_out:
            queue.expected(instance)

    # ---------------------------------------------------------------- a change of the plan

    def replan(self, epoch: Epoch) -> None:
        """Meet those that come; during a change those that leave stay, and after it they are forgotten."""
        for instance in {i.id for i in self.epoch.instances} - {i.id for i in epoch.instances}:
            # Who left has gone before the change was done, though we may not have been there to hear of it; who came and is
            # sent away has so much time, or until the supervisor says that it has gone.
            self._to_leave.setdefault(instance, now_ns() + (0 if instance in self.epoch.leaving else LEAVE_NS))
        for one in epoch.instances:  # a name that is given again is of somebody else
            self._to_leave.pop(one.id, None)
            self._gone.pop(one.id, None)
        self.epoch, self._plan = epoch, epoch.plan
        self._into = [e for e in epoch.edges if e.consumer == self._me.node]
        self._out = [e for e in epoch.edges if e.producer == self._me.node]
        self._consumers = self._stream_consumers()
        self._readers.cache_clear()
        known = self.counts
        known.extend(
            Index(
                lanes=[key for key in self._lanes() if key not in known.lanes],
                expecting=[key for key in self._expected() if key not in known.expecting],
            )
        )
        for edge in self._into:
            for producer in self._instances(edge.producer):
                self._meet_producer(edge, producer)
        for queue in self._queues_out:
            for taker in self._instances(queue.edge.consumer):
                queue.meet(taker.id, self._endpoint(taker.work))
        if self.queues_in is not None:
            self.queues_in.share(self._shared)
        self.streams_in.let_go(epoch.share(self._me.id).then)
        self._gain()

    def _gain(self) -> None:
        gained = self.epoch.share(self._me.id).then - self.streams_in.partitions
        if gained and any(e.link == "stream" for e in self._into):
            self.streams_in.gain(gained, self.epoch.number)

    def _meet_producer(self, edge: Edge, producer: Instance) -> None:
        if producer.id not in self._foreign:
            self._payloads_in.attach(producer.id, edge.id if edge.link == "queue" else STREAM)
        if edge.link == "queue" and self.queues_in is not None:
            self.queues_in.add(self.routes[edge.id], [(producer.id, self._endpoint(producer.credit))], self._shared)
        else:
            self.streams_in.meet(self.routes[edge.id], producer.id, self._endpoint(producer.out), self._comes(producer.id))

    @property
    def node(self) -> str:
        """The name of the node that this is an instance of."""
        return self._me.node

    def ended_by_parting(self) -> Iterator[Ended]:
        """What has ended for us when all our streams are another's: they, and queues of producers that are not there."""
        for edge in self._into:
            for producer in self._instances(edge.producer):
                if edge.link == "stream" or producer.id in self._absent:
                    yield Ended(producer.id, (edge.id,))

    def follow(self, giver: str, life: int, said: dict[str, int]) -> None:
        """What we publish from now on comes behind what another instance of the node has said."""
        self.streams_out.follow(self._consumers, giver, life, said)

    def part_queues(self) -> None:
        """The hand-over has begun: takers that leave get nothing more."""
        for queue in self._queues_out:
            queue.part(self.epoch.leaving)

    def _left(self, instance: str) -> None:
        """An instance has left the graph: nothing more will come from it, though some may still have to be read."""
        self._to_leave.pop(instance, None)
        self.streams_out.absent(instance)
        self.streams_in.absent(instance, True)
        for queue in self._queues_out:
            queue.forget(instance)
        self._gone[instance] = now_ns() + FORGET_NS

    def look(self, now_ns: int, deliver: Callable[[Arrival | Ended], None]) -> None:
        """To be called now and then, for what has been waited for long enough."""
        if self.queues_in is not None:
            self.queues_in.look(now_ns)
        self.streams_in.look(deliver)
        for instance in [one for one, due_ns in self._to_leave.items() if now_ns >= due_ns]:
            self._left(instance)
            deliver(Ended(instance, tuple(edge.id for edge in self._into)))
        for instance in [one for one, due_ns in self._gone.items() if now_ns >= due_ns]:
            del self._gone[instance]
            self.streams_in.forget(instance)
            if self.queues_in is not None:
                self.queues_in.forget(instance)

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
