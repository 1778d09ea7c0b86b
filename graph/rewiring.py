"""The links of one instance while the plan changes: it meets those that come, and lets go of what is not wanted any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graph.control import Absent
from graph.epoch import Epoch
from graph.links.base import Arrival, Ended
from graph.links.counts import Index
from graph.message import now_ns
from graph.plan import Edge
from graph.wiring import END_LINGER_MS, Wiring

LEAVE_NS = 15_000_000_000  # that whoever is not in the plan any more may take to leave
FORGET_NS = 5_000_000_000  # after an instance has left: by then all has been read that it has said


class Rewiring(Wiring):
    """A `Wiring` that becomes another, step by step: `replan`, `commit`, `begin` and `quit`, `replan`."""

    def __init__(self, *arguments: Any) -> None:
        self._to_leave: dict[str, int] = {}  # by instance that is not in the plan any more, when it must have gone
        self._gone: dict[str, int] = {}  # by instance that has left, when its links may be taken down
        super().__init__(*arguments)
        if self.epoch.committed:
            self.commit()

    def replan(self, epoch: Epoch) -> None:
        """Meet those that come; during a change those that leave stay, and after it they are forgotten."""
        for instance in {i.id for i in self.epoch.instances} - {i.id for i in epoch.instances}:
            # Who left has gone before the change was done, though we may not have been there to hear of it; who came and is
            # sent away has so much time, or until the supervisor says that it has gone.
            self._to_leave.setdefault(instance, now_ns() + (0 if instance in self.epoch.leaving else LEAVE_NS))
        for one in epoch.instances:  # a name that is given again is of somebody else
            self._to_leave.pop(one.id, None)
            self._gone.pop(one.id, None)
        if not epoch.has(self.instance):
            self.epoch = epoch  # we were sent away
            return
        into, out = {e.id for e in self._into}, {e.id for e in self._out}
        self.epoch, self._plan, self._committed = epoch, epoch.plan, epoch.committed
        self._into, self._out = self._inputs_of(epoch), epoch.out(self.instance)
        self._consumers = self._stream_consumers()
        self._readers.cache_clear()
        self._extend_counts()
        taking = self.queues_in
        self._bind_queues()
        if self.queues_in is not None and taking is None and self._loaded:
            self.queues_in.greet()
        self._drop(into - {e.id for e in self._into}, out - {e.id for e in self._out})
        self._connect(into, out)
        if self.queues_in is not None:
            self.queues_in.share(self._shared)
        self._use_queues()
        self._take_settings()
        self.streams_in.let_go(epoch.share(self.instance).then)
        self.gain()

    def _extend_counts(self) -> None:
        known = self.counts
        known.extend(
            Index(
                edges=[edge for edge in self._counted() if edge not in known.edges],
                lanes=[key for key in self._lanes() if key not in known.lanes],
                expecting=[key for key in self._expected() if key not in known.expecting],
            )
        )

    def _connect(self, into: set[str], out: set[str]) -> None:
        """To all that was not there before.

        :param into: edges that were.
        """
        for edge in self._into:
            if edge.id not in into:
                self._listen(edge)
            for producer in self.epoch.producers(edge):
                self._meet_producer(edge, producer)
        for edge in self._out:
            if edge.link == "queue" and edge.id not in out:
                self._queues_out.append(self._make_queue_out(edge))
        for queue in self._queues_out:
            for taker in self.epoch.consumers(queue.edge):
                queue.meet(taker.id, self._endpoint(taker.work))

    def _drop(self, into: set[str], out: set[str]) -> None:
        """Edges that are no more: a change was done, or undone."""
        self.streams_in.quit(self._sources(e for e in into if self.routes[e].edge.link == "stream"))
        for edge in into:
            if self.queues_in is not None:
                self.queues_in.drop(edge)
        for queue in [queue for queue in self._queues_out if queue.edge.id in out]:
            self._queues_out.remove(queue)
            queue.close(END_LINGER_MS)

    def _sources(self, edges: Iterator[str]) -> set[bytes]:
        return {f"{e.producer}.{e.port}".encode() for e in (self.routes[id].edge for id in edges)}

    # ---------------------------------------------------------------- the hand-over

    def commit(self) -> None:
        """The hand-over has begun: takers that leave get nothing more, links that go are brought to their end, and those that
        come are used."""
        self._committed = True
        self._use_queues()
        for queue in self._queues_out:
            if queue.edge.id not in self.epoch.going:
                queue.part(self.epoch.leaving)
            elif self._stays:
                queue.retire()
        self._take_settings()

    def _take_settings(self) -> None:
        """A link that stays goes by what the plan in force says of it."""
        plan = self.epoch.plan if self._committed or self.epoch.before is None else self.epoch.before
        for edge in plan.edges:
            route = self.routes.get(edge.id)
            if route is not None:
                route.edge = edge
            for queue in self._queues_out:
                if queue.edge.id == edge.id:
                    queue.adjust(edge)
        for edge in self._into:
            if edge.link == "queue" and self.queues_in is not None:
                depths = [e.depth for plan in self.epoch.plans for e in plan.edges if e.id == edge.id]
                self.queues_in.allow(edge.id, depths)

    @property
    def retired(self) -> bool:
        """True when everything has been taken that was sent on links which go."""
        return all(queue.finished for queue in self._queues_out if queue.retired)

    def begin(self, deliver: Callable[[Arrival | Ended], None]) -> None:
        """Go on with streams that nobody of us had before; when the change is over, with all that is still held back."""
        streams = (e for e in self._into if e.link == "stream")
        edges = (e.id for e in streams if e.id in self.epoch.coming or self.epoch.before is None)
        self.streams_in.begin(self._sources(edges) - self.epoch.inherited(self.instance), deliver)

    def quit(self) -> Iterator[Ended]:
        """Listen no longer to streams that are not ours any more. What has come of them is still handled."""
        edges = self.epoch.quits(self.instance)
        self.streams_in.quit(self._sources(e.id for e in edges if e.id in self.routes))
        yield from self._ended(edges)

    def ended_by_parting(self) -> Iterator[Ended]:
        """What has ended for us when all our streams are another's: they, and queues of producers that are not there."""
        yield from self._ended([e for e in self._into if e.link == "stream"])
        for edge in self._into:
            for producer in self.epoch.producers(edge):
                if edge.link == "queue" and producer.id in self._absent:
                    yield Ended(producer.id, (edge.id,))

    def _ended(self, edges: list[Edge]) -> Iterator[Ended]:
        for edge in edges:
            for producer in self.epoch.producers(edge):
                yield Ended(producer.id, (edge.id,))

    def follow(self, giver: str, life: int, said: dict[str, int]) -> None:
        """What we publish from now on comes behind what another instance of the node has said."""
        self.streams_out.follow(self._consumers, giver, life, said)

    # ---------------------------------------------------------------- those that have left

    def absent(self, notice: Absent) -> Ended | None:
        ended = super().absent(notice)
        if notice.final and all(notice.instance != i.id for i in self.epoch.plan.instances):
            self._left(notice.instance)
        return ended

    def _left(self, instance: str) -> None:
        """An instance has left the graph: nothing more will come from it, though some may still have to be read."""
        self._to_leave.pop(instance, None)
        self.streams_out.absent(instance)
        self.streams_in.left(instance)
        for queue in self._queues_out:
            queue.forget(instance)
        self._gone[instance] = now_ns() + FORGET_NS

    def look(self, now_ns: int, deliver: Callable[[Arrival | Ended], None]) -> None:
        super().look(now_ns, deliver)
        for instance in [one for one, due_ns in self._to_leave.items() if now_ns >= due_ns]:
            self._left(instance)
            deliver(Ended(instance, tuple(edge.id for edge in self._into)))
        if self.streams_in.gaining:  # what is held back may be of one that has left
            return
        for instance in [one for one, due_ns in self._gone.items() if now_ns >= due_ns]:
            del self._gone[instance]
            self.streams_in.forget(instance)
            if self.queues_in is not None:
                self.queues_in.forget(instance)
