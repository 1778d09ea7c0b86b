"""The report of a run: per turn its marks, per edge what was sent, delivered and dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from graph.control import Beat, TurnMark
from graph.epoch import Epoch
from graph.links.counts import ASTRAY, Counts, EdgeStatistics, upper_us
from graph.plan import Edge, Former, Instance, Plan

MARKS_KEPT = 100_000  # the newest; about ten thousand turns, so that a graph may run for months


class Report:
    """Gathers the beats of all nodes; the newest beat of an instance counts."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._beats: dict[str, Beat] = {}
        self._marks: deque[TurnMark] = deque(maxlen=MARKS_KEPT)
        self._pids: dict[str, int] = {}
        self._restarts: dict[str, int] = {}
        self._dead: dict[str, Beat] = {}  # by instance, what its lives had counted that are over
        self._instances: dict[str, Instance] = {}  # all there ever were
        self._of_node: dict[str, list[str]] = {}
        self._edges = {edge.id: edge for edge in plan.edges}
        self._uses: dict[str, str] = {}
        self._at_times: set[str] = set()  # edges that have not been there all the time
        self.replan(plan)

    def replan(self, plan: Plan) -> None:
        """The graph has become another; those who have left are still counted."""
        self._plan = plan
        edges = {edge.id: edge for edge in plan.edges}
        self._at_times |= edges.keys() ^ self._edges.keys()
        self._edges |= edges
        self._uses |= {node.name: node.use for node in plan.nodes}
        self.know(plan.instances)

    def know(self, instances: Iterable[Instance]) -> None:
        """Those who take part, or have done so."""
        for one in instances:
            if one.id not in self._instances:
                self._instances[one.id] = one
                self._of_node.setdefault(one.node, []).append(one.id)

    def former(self, epoch: Epoch) -> Former:
        """Who takes part no longer, and what has not been there all the time: for the supervisor that may come after this."""
        here = {node.name for plan in epoch.plans for node in plan.nodes}
        return Former(
            [one for one in self._instances.values() if not epoch.has(one.id)],
            [edge for id, edge in self._edges.items() if id in self._at_times],
            {name: use for name, use in self._uses.items() if name not in here},
        )

    def remember(self, former: Former) -> None:
        """The same, from the supervisor before."""
        self.know(former.instances)
        self._at_times |= {edge.id for edge in former.edges}
        self._edges |= {edge.id: edge for edge in former.edges if edge.id not in self._edges}
        self._uses = former.uses | self._uses

    def spawned(self, instance: str, pid: int, life: int) -> None:
        self._restarts[instance] = life
        self._pids[instance] = pid

    def buried(self, instance: str, counts: Counts | None) -> None:
        """An instance died. What it had heard of a stream and not accounted for is lost; on queues its producers count that.

        Of a program, which leaves no counters behind, the last beat counts.
        """
        last = self._beats.pop(instance, Beat())
        sent, edges = (last.sent, last.edges) if counts is None else (counts.sent(), counts.statistics())
        heard = {} if counts is None else counts.heard()
        for edge in self._edges.values():
            of_it = edges.get(edge.id)
            if of_it is None:
                continue
            source = f"{edge.producer}.{edge.port}"
            if edge.link == "stream" and counts is not None and source in heard:
                astray = counts.edges[edge.id][ASTRAY]
                of_it.dropped = heard[source] - of_it.delivered - of_it.stale - (of_it.rejected - astray)
            elif edge.link == "stream":
                of_it.dropped += of_it.depth
            of_it.depth = 0
        self._dead[instance] = _sum(self._dead.get(instance, Beat()), Beat(sent, edges, heard=heard))

    def add(self, instance: str, beat: Beat) -> None:
        self._beats[instance] = beat
        self._marks += beat.marks

    def node_of(self, instance: str) -> str:
        """The node of an instance, also of one that has left."""
        return self._instances[instance].node

    def pid(self, instance: str) -> int | None:
        """Its newest process, whether it lives or not."""
        return self._pids.get(instance)

    def restarts(self, instance: str) -> int:
        """How often it was started again."""
        return self._restarts.get(instance, 0)

    def counted(self, instance: str) -> Beat:
        """What all lives of an instance have sent, and counted at their end of each edge."""
        return _sum(self._dead.get(instance, Beat()), self._beats.get(instance, Beat()))

    def totals(self) -> dict[str, EdgeStatistics]:
        """By edge id, both ends, all instances and all their lives added up: what the report says at the end."""
        return {edge.id: self._total(edge) for edge in self._edges.values()}

    def as_dict(self, exit_code: int, failures: dict[str, str], wall_s: float) -> dict[str, Any]:
        """The report as it is written to the file; docs/report.md describes it."""
        return {
            "graph": self._plan.name,
            "file": self._plan.file,
            "exit_code": exit_code,
            "wall_s": round(wall_s, 3),
            "failures": failures,
            "nodes": [self._node(i) for i in self._instances.values()],
            "turns": self._turns(),
            "edges": [self._edge(e) for e in self._edges.values()],
        }

    def _node(self, instance: Instance) -> dict[str, Any]:
        return {
            "instance": instance.id,
            "node": instance.node,
            "use": self._uses[instance.node],
            "pid": self.pid(instance.id),
            "restarts": self.restarts(instance.id),
        }

    def _turns(self) -> list[dict[str, Any]]:
        turns: dict[tuple[str, int], list[TurnMark]] = {}
        for mark in self._marks:
            turns.setdefault((mark.session, mark.turn), []).append(mark)
        turns = {turn: _of_the_last(marks) for turn, marks in turns.items()}
        return [{"session": session, "turn": turn, "marks": _marks(marks)} for (session, turn), marks in sorted(turns.items())]

    def _edge(self, edge: Edge) -> dict[str, Any]:
        total = self._total(edge)
        said = msgspec.structs.asdict(total)
        said["latency_us"] = {"p50": total.quantile_us(0.5), "p90": total.quantile_us(0.9), "p99": total.quantile_us(0.99)}
        said["latency_us"]["histogram"] = {upper_us(k): n for k, n in sorted(said.pop("latency").items())}
        return {"edge": edge.id, "link": edge.link, **said}

    def _total(self, edge: Edge) -> EdgeStatistics:
        total = EdgeStatistics()
        for node in dict.fromkeys((edge.producer, edge.consumer)):
            for instance in self._of_node.get(node, ()):
                for beat in (self._beats.get(instance), self._dead.get(instance)):
                    if beat is None:
                        continue
                    if edge.link == "stream":
                        total.sent += self._sent(edge, node, beat)
                    if edge.id in beat.edges:
                        total.add(beat.edges[edge.id])
                        if edge.link == "queue" and node != edge.producer:  # it counts what its producer has not heard of
                            total.depth -= beat.edges[edge.id].depth
        if self._lost_a_consumer(edge) or self._lost_a_producer(edge):
            # What was sent to it and is not accounted for went with it, and nobody else knew of it.
            total.dropped += max(0, total.sent - total.delivered - total.dropped - total.stale - total.rejected - total.depth)
        return total

    def _sent(self, edge: Edge, node: str, beat: Beat) -> int:
        """What an instance adds to what was sent on a stream: where that was not there all the time, its listeners know what
        was said meanwhile."""
        if edge.id in self._at_times:
            return beat.heard.get(f"{edge.producer}.{edge.port}", 0) if node == edge.consumer else 0
        return beat.sent.get(edge.port, 0) if node == edge.producer else 0

    def _lost_a_consumer(self, edge: Edge) -> bool:
        """True when an instance that listened to a stream is not there any more."""
        consumers = self._of_node.get(edge.consumer, ())
        return edge.link == "stream" and any(i in self._dead and i not in self._beats for i in consumers)

    def _lost_a_producer(self, edge: Edge) -> bool:
        plain = edge.link == "queue" and edge.delivery == "at_most_once"
        return plain and any(instance in self._dead for instance in self._of_node.get(edge.producer, ()))


def _sum(one: Beat, other: Beat) -> Beat:
    """Both added up; neither is changed."""
    sent = {port: one.sent.get(port, 0) + other.sent.get(port, 0) for port in one.sent | other.sent}
    edges: dict[str, EdgeStatistics] = {}
    for edge in one.edges | other.edges:
        edges[edge] = EdgeStatistics()
        for beat in (one, other):
            if edge in beat.edges:
                edges[edge].add(beat.edges[edge])
    heard = {source: one.heard.get(source, 0) + other.heard.get(source, 0) for source in one.heard | other.heard}
    return Beat(sent, edges, heard=heard)


def _of_the_last(marks: list[TurnMark]) -> list[TurnMark]:
    """Of a turn that was withdrawn and came anew, what came last counts: the newest revision with a zero mark, and what came
    after it (the newest of all, where none has one)."""
    newest = max((one.revision for one in marks if one.mark.zero), default=max(one.revision for one in marks))
    return [one for one in marks if one.revision >= newest]


def _marks(marks: list[TurnMark]) -> dict[str, dict[str, Any]]:
    """By name: when, how long after the turn's zero mark (its earliest, where none is marked so), and the fields.

    Of a mark made twice the first counts: the first token, the first audio.
    """
    in_order = sorted(marks, key=lambda one: one.mark.at_ns)
    zero_ns = next((m.mark.at_ns for m in in_order if m.mark.zero), in_order[0].mark.at_ns)
    found: dict[str, dict[str, Any]] = {}
    for one in in_order:
        ms = round((one.mark.at_ns - zero_ns) / 1e6, 3)
        found.setdefault(one.mark.name, {"at_ns": one.mark.at_ns, "ms": ms, **one.mark.fields})
    return found
