"""Which plan is in force. While a running graph is being changed there are two: the one before, and the one to come.

A change is known by its number. Everybody reads it from the folder of the run, whoever is started meanwhile too, so that a
process (or the supervisor) that dies in the middle goes on where the others are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import msgspec

from graph.errors import VoicegraphError
from graph.links.partitions import partitions_of_replica
from graph.plan import Edge, Instance, Plan, PlannedNode

LAST_PORT = 65535


class Epoch(msgspec.Struct, frozen=True, dict=True):
    """A plan, and during a change the one that it replaces."""

    number: int
    plan: Plan
    before: Plan | None = None  # while the graph is being turned into `plan`
    committed: bool = False  # the hand-over has begun: there is no way back
    renamed: dict[str, str] = {}  # by node that leaves, the node that goes on for it

    def prepare(self) -> None:
        """Work out what every worker asks, before it is forked: who goes through all of a plan copies all of its memory."""
        self.programs, self._indexes, self._of, self.leaving, self.joining, self.coming, self.going, self.bequests  # noqa: B018

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plan, and the one before it while both count."""
        return (self.plan,) if self.before is None else (self.plan, self.before)

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """All that take part, those that come and those that leave among them."""
        there: Iterable[Instance] = () if self.before is None else self.before.instances
        return tuple(({i.id: i for i in self.plan.instances} | {i.id: i for i in there} | self._planned).values())

    @cached_property
    def _planned(self) -> dict[str, Instance]:
        return {i.id: i for i in self.plan.instances}

    @cached_property
    def _all(self) -> dict[str, Instance]:
        return {i.id: i for i in self.instances}

    @cached_property
    def _of(self) -> dict[str, list[Instance]]:
        found: dict[str, list[Instance]] = {}
        for one in self.instances:
            found.setdefault(one.node, []).append(one)
        return found

    @cached_property
    def _named(self) -> tuple[dict[str, PlannedNode], dict[str, PlannedNode]]:
        """The nodes of the plan before, and of the plan."""
        before = self.plan if self.before is None else self.before
        return {n.name: n for n in before.nodes}, {n.name: n for n in self.plan.nodes}

    @cached_property
    def programs(self) -> frozenset[str]:
        """Instances that are not of a Python class."""
        return frozenset(i.id for i in self.instances if self.node(i.id).command)

    @cached_property
    def leaving(self) -> frozenset[str]:
        """Instances that are not in the plan any more."""
        return frozenset(i.id for i in self.instances) - {i.id for i in self.plan.instances}

    @cached_property
    def joining(self) -> frozenset[str]:
        """Instances that were not in the plan before."""
        before = self.plan if self.before is None else self.before
        return frozenset(i.id for i in self.plan.instances) - {i.id for i in before.instances}

    def has(self, id: str) -> bool:
        """True of an instance that is in the plan, or leaves it."""
        return id in self._all

    def instance(self, id: str) -> Instance:
        return self._all[id]

    def of(self, node: str) -> list[Instance]:
        """All instances of a node."""
        return list(self._of.get(node, ()))

    def node(self, id: str) -> PlannedNode:
        """The node that an instance is of, as it is in the instance's own plan."""
        plan = self.plan if id in self._planned or self.before is None else self.before
        return self._named[plan is self.plan][self.instance(id).node]

    def working(self, id: str, fallback: bool) -> PlannedNode:
        """The same, or its fallback."""
        node = self.node(id)
        return node.fallback if fallback and node.fallback is not None else node

    # ---------------------------------------------------------------- edges

    @cached_property
    def _indexes(self) -> tuple[_Index, ...]:
        return tuple(_Index(plan) for plan in (self.plans if self.committed else reversed(self.plans)))

    def _edges(self, id: str) -> dict[str, Edge]:
        """All edges that an instance takes part in: those of the plans that it is in. Of two versions the one in force."""
        found: dict[str, Edge] = {}
        for index in self._indexes:
            if id in index.instances:
                found = {e.id: e for e in index.at[index.instances[id].node]} | found
        return found

    def into(self, id: str) -> list[Edge]:
        """The edges that lead to an instance."""
        return [e for e in self._edges(id).values() if e.consumer == self.instance(id).node]

    def out(self, id: str) -> list[Edge]:
        """The edges that lead away from it."""
        return [e for e in self._edges(id).values() if e.producer == self.instance(id).node]

    def producers(self, edge: Edge) -> list[Instance]:
        """Whose messages come on an edge: an instance that leaves sends none on an edge that comes."""
        return self._ends(edge, edge.producer)

    def consumers(self, edge: Edge) -> list[Instance]:
        """Who hears them."""
        return self._ends(edge, edge.consumer)

    def _ends(self, edge: Edge, node: str) -> list[Instance]:
        ids = {i.id for index in self._indexes if edge.id in index.edges for i in index.of.get(node, ())}
        return [self._all[id] for id in sorted(ids)]

    @cached_property
    def coming(self) -> frozenset[str]:
        """Edges that were not in the plan before."""
        before = self.plan if self.before is None else self.before
        return frozenset(e.id for e in self.plan.edges) - {e.id for e in before.edges}

    @cached_property
    def going(self) -> frozenset[str]:
        """Edges that are not in the plan any more."""
        return frozenset(e.id for p in self.plans for e in p.edges) - {e.id for e in self.plan.edges}

    def has_heirs(self, id: str) -> bool:
        """True of an instance that leaves, where others go on with its sessions."""
        return bool(self.bequests.get(id))

    def inherited(self, id: str) -> set[bytes]:
        """The streams, as `<node>.<port>`, on which an instance goes on where another has stopped."""
        givers = [giver for giver, takers in self.bequests.items() if id in takers]
        return {f"{e.producer}.{e.port}".encode() for giver in givers for e in self.into(giver) if e.link == "stream"}

    def quits(self, id: str) -> list[Edge]:
        """Streams that an instance does not listen to any more when the hand-over has begun. A producer that leaves the
        graph itself is heard to its end."""
        quits = {e.id for e in self.into(id)} if id in self.leaving and not self.has_heirs(id) else self.going
        streams = (e for e in self.into(id) if e.id in quits and e.link == "stream")
        return [e for e in streams if any(i.id not in self.leaving for i in self.producers(e))]

    def share(self, id: str) -> Share:
        """Which partitions of its streams an instance that starts now listens to, and which it will."""
        after = _share(self.plan, id)
        if self.before is None:
            return Share(after, after)
        before = _share(self.before, id)
        return Share(before & after if self.committed else before, after)

    @cached_property
    def bequests(self) -> dict[str, dict[str, list[int]]]:
        """By instance that gives, who gains which partitions of it; whoever leaves gives, be it nothing.

        A source that stays neither gives nor gains: it listens to nothing, and never comes to rest between two messages.
        Who stays and has links that come or go says that it has seen to that: it gives nothing to nobody.
        """
        if self.before is None:
            return {}
        found: dict[str, dict[str, list[int]]] = {}
        for giver in self.before.instances:
            source = self.before.node(giver.node).source
            lost = _share(self.before, giver.id) - _share(self.plan, giver.id)
            heir = self.renamed.get(giver.node, giver.node)
            gains = {
                i.id: sorted(lost & (_share(self.plan, i.id) - _share(self.before, i.id)))
                for i in (self.plan.instances if lost else ())
                if i.node == heir and (i.id in self.joining or not source)
            }
            if giver.id in self.leaving or (lost and not source):
                found[giver.id] = {id: partitions for id, partitions in gains.items() if partitions}
            elif any(e.id in self.coming | self.going for e in self._edges(giver.id).values()):
                found[giver.id] = {}
        return found

    def commit(self) -> Epoch:
        """The same, with no way back."""
        return msgspec.structs.replace(self, committed=True)

    def settled(self) -> Epoch:
        """What is in force when the change is done."""
        return Epoch(self.number + 1, self.plan)

    def undone(self) -> Epoch:
        """What is in force when it was given up."""
        return Epoch(self.number + 1, self.plan if self.before is None else self.before)


class _Index:
    """Who and what is in a plan, and which edges a node has."""

    def __init__(self, plan: Plan) -> None:
        self.instances = {i.id: i for i in plan.instances}
        self.edges = {e.id for e in plan.edges}
        self.of: dict[str, list[Instance]] = {}
        self.at: dict[str, list[Edge]] = {node.name: [] for node in plan.nodes}
        for instance in plan.instances:
            self.of.setdefault(instance.node, []).append(instance)
        for edge in plan.edges:
            self.at[edge.producer].append(edge)
            if edge.consumer != edge.producer:
                self.at[edge.consumer].append(edge)


@dataclass(frozen=True)
class Share:
    """Partitions of an instance's input streams."""

    now: frozenset[int]
    then: frozenset[int]  # when the change is done

    @property
    def gained(self) -> frozenset[int]:
        return self.then - self.now

    @property
    def lost(self) -> frozenset[int]:
        return self.now - self.then


def _share(plan: Plan, id: str) -> frozenset[int]:
    me = next((i for i in plan.instances if i.id == id), None)
    if me is None:
        return frozenset()
    replicas = sum(i.node == me.node for i in plan.instances)
    return frozenset(partitions_of_replica(me.replica, replicas))


class CannotScale(VoicegraphError):
    """A node cannot have so many replicas while the graph runs."""


def scaled(plan: Plan, name: str, replicas: int, known: Collection[str], number: int) -> Plan:
    """The plan with so many replicas of a node: the first ones stay who they are, the last ones leave first.

    :param known: instances that were ever started in this run: their names are not given again, or what they had counted
        and what their replacements count would be one.
    :param number: of the change, which tells a name from an earlier one.
    :raises CannotScale: there is no port left.
    """
    node = plan.node(name)
    own = sorted((i for i in plan.instances if i.node == name), key=lambda i: i.replica)
    kept = own[:replicas]
    handed_out = endpoints(plan)
    for replica in range(len(kept), replicas):
        id = f"{name}.{replica}"
        if id in known:
            id = f"{id}+{number}"
        kept.append(handed_out.like(own[0], id, replica))
    instances: list[Instance] = []
    for one in plan.instances:
        if one.node != name:
            instances.append(one)
        elif one.id == own[0].id:
            instances += kept
    changed = msgspec.structs.replace(node, instances=tuple(i.id for i in kept))
    nodes = tuple(changed if n.name == name else n for n in plan.nodes)
    return msgspec.structs.replace(plan, nodes=nodes, instances=tuple(instances))


@dataclass
class Endpoints:
    """Hands out addresses that nobody has."""

    ports: Iterator[int]

    def like(self, model: Instance, id: str, replica: int) -> Instance:
        """Another instance of the same node, with endpoints of its own.

        :raises CannotScale: there is no port left.
        """

        def endpoint(of: str, role: str) -> str:
            return self._next(of, id, role) if of else ""

        out, work, credit = endpoint(model.out, "out"), endpoint(model.work, "work"), endpoint(model.credit, "credit")
        return Instance(id, model.node, replica, out, work, credit)

    def completed(self, one: Instance, takes: bool, feeds: bool) -> Instance:
        """The instance with endpoints for queues, where it takes from or feeds one.

        :raises CannotScale: there is no port left.
        """
        work = self._next(one.out, one.id, "work") if takes and not one.work else one.work
        credit = self._next(one.out, one.id, "credit") if feeds and not one.credit else one.credit
        return msgspec.structs.replace(one, work=work, credit=credit)

    def _next(self, like: str, id: str, role: str) -> str:
        if not like.startswith("tcp://"):
            return f"ipc://{{run}}/{id}.{role}"
        port = next(self.ports)
        if port > LAST_PORT:
            raise CannotScale(f"no port is left for '{id}' below {LAST_PORT + 1}: choose a lower `first_port`")
        return f"{like.rpartition(':')[0]}:{port}"


def endpoints(plan: Plan) -> Endpoints:
    """Those that come behind all that a plan has handed out."""
    planned: Iterable[str] = (e for i in plan.instances for e in (i.out, i.work, i.credit))
    taken = [int(e.rpartition(":")[2]) for e in planned if e.startswith("tcp://")]
    return Endpoints(count(max(taken, default=0) + 1))
