"""The links of one instance, made from the plan: what it listens to, what it takes from, whom it feeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import zmq

from graph.links.base import Arrival, EdgeStatistics, Ended, Route
from graph.links.queue import CreditIn, QueueIn, QueueOut
from graph.links.stream import StreamIn, StreamOut
from graph.message import BodyDecoder
from graph.node import Node
from graph.plan import Edge, Instance, Plan
from graph.rundir import RunDir

END_LINGER_MS = 1000  # how long a leaving process keeps trying to hand over its last messages


class Wiring:
    """All sockets of an instance. Binding happens here, so a port in use is known before a model is loaded."""

    def __init__(self, plan: Plan, instance: Instance, cls: type[Node], run: RunDir) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self._plan = plan
        self._me = instance
        self._endpoint = run.endpoint
        into = [e for e in plan.edges if e.consumer == instance.node]
        out = [e for e in plan.edges if e.producer == instance.node]
        consumers = {i.id for e in out if e.link == "stream" for i in self._instances(e.consumer)}
        depth = max([e.depth for e in out + into if e.link == "stream"], default=1000)
        self.streams_out = StreamOut(self.context, instance.id, instance.node, self._endpoint(instance.out), consumers, depth)
        self.streams_in = StreamIn(self.context, instance.id, depth)
        self.credit = CreditIn(self.context, self._endpoint(instance.credit)) if instance.credit else None
        self.queues_in = QueueIn(self.context, instance.id, self._endpoint(instance.work)) if instance.work else None
        self.queues_out: dict[str, list[QueueOut]] = {}
        for edge in out:
            if edge.link == "queue":
                takers = self._instances(edge.consumer)
                queue = QueueOut(self.context, edge, takers, [self._endpoint(t.work) for t in takers])
                self.queues_out.setdefault(edge.port, []).append(queue)
        inputs = cls.inputs()
        self.routes = {e.id: Route(e, BodyDecoder(inputs[e.input].kinds), inputs[e.input].interrupts) for e in into}
        for edge in into:
            self._listen(edge)
        self.streams_in.subscribe_notices()

    def _instances(self, node: str) -> list[Instance]:
        return [i for i in self._plan.instances if i.node == node]

    def _listen(self, edge: Edge) -> None:
        producers = self._instances(edge.producer)
        route = self.routes[edge.id]
        if edge.link == "queue" and self.queues_in is not None:
            self.queues_in.add(route, [(p.id, self._endpoint(p.credit)) for p in producers])
        else:
            replicas = len(self._instances(self._me.node))
            self.streams_in.add(route, [(p.id, self._endpoint(p.out)) for p in producers], self._me.replica, replicas)

    @property
    def ready(self) -> bool:
        """True once every link stands at both ends: nothing sent from now on is lost for want of a listener."""
        return (
            self.streams_out.ready
            and self.streams_in.ready
            and all(q.ready for queues in self.queues_out.values() for q in queues)
        )

    @property
    def awaited(self) -> dict[str, set[str]]:
        """By input edge, the producer instances whose end the drain waits for."""
        return {
            e.id: {p.id for p in self._instances(e.producer)}
            for e in self._plan.edges
            if e.consumer == self._me.node and not e.feedback
        }

    def poller(self, *descriptors: Any) -> zmq.Poller:
        """A poller over everything that can wake the node: its sockets and the given descriptors."""
        poller = zmq.Poller()
        sockets = [self.streams_out.socket, self.streams_in.socket]
        sockets += [end.socket for end in (self.credit, self.queues_in) if end is not None]
        for one in [*sockets, *descriptors]:
            poller.register(one, zmq.POLLIN)
        return poller

    def receive(self) -> Iterator[Arrival | Ended]:
        """Serve the links (subscriptions, credits) and yield what has come for the node, without waiting."""
        self.streams_out.read_subscriptions()
        if self.credit is not None:
            for notice in self.credit.receive():
                for queues in self.queues_out.values():
                    for queue in queues:
                        queue.credit(notice)
        yield from self.streams_in.receive()
        if self.queues_in is not None:
            yield from self.queues_in.receive()

    @property
    def jobs_waiting(self) -> bool:
        """True when queue messages wait in the node's inbox."""
        return any(route.waiting for route in self.routes.values() if route.edge.link == "queue")

    @property
    def acknowledgements_waiting(self) -> bool:
        """True when finished queue messages have not been acknowledged yet."""
        return self.queues_in is not None and self.queues_in.unacknowledged

    def acknowledge(self) -> None:
        """Send the acknowledgements held back; call when idle."""
        if self.queues_in is not None:
            self.queues_in.flush()

    def flushed(self) -> bool:
        """True when every queue message has been handed to a taker."""
        return all(q.empty for queues in self.queues_out.values() for q in queues)

    def end(self) -> None:
        """Tell the consumers of streams that nothing more will come; may be repeated, in case it was not heard."""
        self.streams_out.end()

    def end_queues(self) -> None:
        """Tell the takers that nothing more will come; once, when `flushed`."""
        for queues in self.queues_out.values():
            for queue in queues:
                queue.end(self._me.id)

    def statistics(self) -> dict[str, EdgeStatistics]:
        """By edge id, what this instance has counted at its end."""
        mine = {edge: route.statistics for edge, route in self.routes.items()}
        mine.update({q.edge.id: q.statistics for queues in self.queues_out.values() for q in queues})
        return mine

    def close(self) -> None:
        """Close all sockets; what was already sent gets a second to leave. Socket files are removed by libzmq."""
        self.streams_in.close()
        self.streams_out.close(END_LINGER_MS)
        for queues in self.queues_out.values():
            for queue in queues:
                queue.close(END_LINGER_MS)
        for end in (self.credit, self.queues_in):
            if end is not None:
                end.close()
        self.context.term()
