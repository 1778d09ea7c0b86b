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

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plan, and the one before it while both count."""
        return (self.plan,) if self.before is None else (self.plan, self.before)

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """All that take part, those that come and those that leave among them."""
        return tuple({i.id: i for plan in self.plans for i in plan.instances}.values())

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        return tuple({e.id: e for plan in self.plans for e in plan.edges}.values())

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
        return any(i.id == id for i in self.instances)

    def instance(self, id: str) -> Instance:
        return next(i for i in self.instances if i.id == id)

    def of(self, node: str) -> list[Instance]:
        """All instances of a node."""
        return [i for i in self.instances if i.node == node]

    def node(self, id: str) -> PlannedNode:
        """The node that an instance is of, as it is in the instance's own plan."""
        plan = next(p for p in self.plans if any(i.id == id for i in p.instances))
        return plan.node(self.instance(id).node)

    def working(self, id: str, fallback: bool) -> PlannedNode:
        """The same, or its fallback."""
        node = self.node(id)
        return node.fallback if fallback and node.fallback is not None else node

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
        """
        if self.before is None:
            return {}
        found: dict[str, dict[str, list[int]]] = {}
        for giver in self.before.instances:
            source = self.before.node(giver.node).source
            lost = _share(self.before, giver.id) - _share(self.plan, giver.id)
            gains = {
                i.id: sorted(lost & (_share(self.plan, i.id) - _share(self.before, i.id)))
                for i in self.plan.instances
                if i.node == giver.node and (i.id in self.joining or not source)
            }
            if giver.id in self.leaving or (lost and not source):
                found[giver.id] = {id: partitions for id, partitions in gains.items() if partitions}
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
            if not of.startswith("tcp://"):
                return f"ipc://{{run}}/{id}.{role}" if of else ""
            port = next(self.ports)
            if port > LAST_PORT:
                raise CannotScale(f"no port is left for '{id}' below {LAST_PORT + 1}: choose a lower `first_port`")
            return f"{of.rpartition(':')[0]}:{port}"

        out, work, credit = endpoint(model.out, "out"), endpoint(model.work, "work"), endpoint(model.credit, "credit")
        return Instance(id, model.node, replica, out, work, credit)


def endpoints(plan: Plan) -> Endpoints:
    """Those that come behind all that a plan has handed out."""
    planned: Iterable[str] = (e for i in plan.instances for e in (i.out, i.work, i.credit))
    taken = [int(e.rpartition(":")[2]) for e in planned if e.startswith("tcp://")]
    return Endpoints(count(max(taken, default=0) + 1))
