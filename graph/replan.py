"""From the plan that runs to the one that is wanted: the next step towards it. Pure.

Of the nodes whose processes are exchanged a step takes one, so that whoever stands at the other end of its links stays the
same meanwhile. Nodes and links that come or go do so together: what comes is heard before what it takes the place of goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import msgspec

from graph.differences import adjusted, fixed, in_place, may_move, needs_process, of_node, program_near, renamed, renames
from graph.epoch import endpoints, scaled
from graph.plan import Edge, Instance, Plan, PlannedNode


def wanted_of(live: Plan, before: Plan, said: Plan) -> Plan:
    """What a file that was edited wants of the running graph: replicas that the edit did not touch stay as they are.

    :param before: what the file said when it was last read.
    :param said: what it says now.
    """
    plan = said
    for node in said.nodes:
        known = next((n for n in before.nodes if n.name == node.name), None)
        there = next((n for n in live.nodes if n.name == node.name), None)
        if known is not None and there is not None and len(known.instances) == len(node.instances) != len(there.instances):
            plan = scaled(plan, node.name, len(there.instances), (), 0)
    return plan


@dataclass(frozen=True)
class NextStep:
    """The plan after one step."""

    plan: Plan
    text: str
    fresh: tuple[str, ...] = ()  # nodes that have new processes, and no old ones when it is done
    renamed: dict[str, str] = field(default_factory=dict)
    restarts: str = ""  # a node whose processes have to be started again


def next_step(live: Plan, wanted: Plan, known: Collection[str], number: int) -> NextStep | None:
    """The next step from what runs to what is wanted; None when nothing that can be changed differs.

    :param known: instances that were ever started in this run: their names are not given again.
    :param number: of the change.
    :raises CannotScale: there is no port left.
    """
    make = _Make(live, wanted, known, number)
    return make.other_name() or make.rewired() or make.other_node() or make.rewired(hurry=True)


class _Make:
    """Makes the steps between two plans."""

    def __init__(self, live: Plan, wanted: Plan, known: Collection[str], number: int) -> None:
        self._live, self._wanted, self._known, self._number = live, wanted, known, number
        self._there = {n.name: n for n in live.nodes}
        self._to_be = {n.name: n for n in wanted.nodes}
        self._turned = {n.name for n in wanted.nodes if n.name in self._there and needs_process(self._there[n.name], n)}
        self._endpoints = endpoints(live)

    # ---------------------------------------------------------------- names

    def other_name(self) -> NextStep | None:
        """A node that is called something else: its successor has the new name."""
        for old, new in renames(self._live, self._wanted).items():
            plan = renamed(self._live, old, new)
            plan = self._with_processes(plan, plan.node(new), self._fresh(self._wanted, new))
            return NextStep(self._tidy(plan), f"'{old}' is called '{new}'", (new,), {old: new})
        return None

    # ---------------------------------------------------------------- nodes and links that come or go

    def rewired(self, hurry: bool = False) -> NextStep | None:
        """All that comes or goes, and settings of links. What has to do with a node that will be replaced comes and goes with
        that, and what nobody would feed until then comes after it.

        :param hurry: do not wait for anything.
        """
        waits = set() if hurry else self._turned
        come = self._coming(waits)
        touched = {n for e in self._live.edges if {e.producer, e.consumer} & waits for n in (e.producer, e.consumer)}
        going = self._there.keys() - self._to_be.keys() - touched
        gone = [name for name in self._there if name in going and not program_near(self._live, name)]
        nodes = {name: node for name, node in self._there.items() if name not in gone} | {n.name: n for n in come}
        edges = self._edges(nodes.keys(), waits)
        instances = [i for i in self._live.instances if i.node not in gone]
        nodes |= {n.name: msgspec.structs.replace(n, instances=self._ids(n.name)) for n in come}
        instances += [i for n in come for i in self._fresh(self._wanted, n.name)]
        plan = msgspec.structs.replace(self._live, nodes=tuple(nodes.values()), instances=tuple(instances), edges=edges)
        plan = self._tidy(plan)
        if plan == self._live:
            return None
        texts = [f"'{n.name}' comes" for n in come] + [f"'{name}' goes" for name in gone]
        told = {*gone, *(n.name for n in come)}
        texts += [f"{e.id} {what}" for e, what in self._links(plan) if told.isdisjoint((e.producer, e.consumer))]
        return NextStep(plan, ", ".join(texts) or "links change", tuple(n.name for n in come))

    def _coming(self, waits: Collection[str]) -> list[PlannedNode]:
        """New nodes, as far as those that feed them are there or come with them."""
        new = (n for n in self._wanted.nodes if n.name not in self._there)
        come = [n for n in new if not program_near(self._wanted, n.name)]
        while True:
            fed = (self._there.keys() | {n.name for n in come}) - set(waits)
            late = [n for n in come if any(e.consumer == n.name and e.producer not in fed for e in self._wanted.edges)]
            if not late:
                return come
            come = [n for n in come if n not in late]

    def _edges(self, nodes: Collection[str], waits: Collection[str]) -> tuple[Edge, ...]:
        """Those of the plan after a step: what is wanted of `nodes`, but what has to do with a node that `waits` stays, and so
        does what a node that goes later hears: without it, it would be at its end, and the next edit may want it again."""
        said = {e.id: e for e in self._wanted.edges}
        kept = set(waits) | (self._there.keys() - self._to_be.keys())
        stay = {e.id for e in self._live.edges if {e.producer, e.consumer} & kept or not self._may_move(e)}
        found = {e.id: e for e in self._live.edges if e.id in said or e.id in stay}
        for edge in self._wanted.edges:
            if edge.id in found:
                found[edge.id] = adjusted(found[edge.id], edge)
            elif {edge.producer, edge.consumer} <= set(nodes) - set(waits) and self._may_move(edge):
                found[edge.id] = edge
        return tuple(e for e in found.values() if {e.producer, e.consumer} <= set(nodes))

    def _may_move(self, edge: Edge) -> bool:
        return may_move(self._live, self._wanted, edge)

    def _links(self, plan: Plan) -> Iterable[tuple[Edge, str]]:
        old, new = ({e.id: e for e in p.edges} for p in (self._live, plan))
        yield from ((new[id], "comes") for id in new if id not in old)
        yield from ((old[id], "goes") for id in old if id not in new)
        yield from ((new[id], "changes") for id in new if id in old and new[id] != old[id])

    # ---------------------------------------------------------------- what becomes of a node

    def other_node(self) -> NextStep | None:
        """A node that becomes another, or gets another number of replicas."""
        live = self._live
        for new in self._wanted.nodes:
            old = self._there.get(new.name)
            lines = list(of_node(old, new, fixed(live, old, new))) if old is not None else []
            if old is None or not lines or not all(d.applies for d in lines):
                continue
            text = f"'{new.name}': {', '.join(d.text for d in lines)}"
            turned = new.name in self._turned
            if turned and not in_place(old, new):
                plan = self._with_processes(live, new, self._fresh(live, new.name, len(new.instances)))
            else:
                plan = msgspec.structs.replace(live, nodes=tuple(_keeping(n, new) if n is old else n for n in live.nodes))
                plan = scaled(plan, new.name, len(new.instances), self._known, self._number)
            if turned:
                edges = self._edges(self._there.keys(), self._turned - {new.name})
                plan = msgspec.structs.replace(plan, edges=edges)
            restarts = new.name if in_place(old, new) else ""
            return NextStep(self._tidy(plan), text, (new.name,) if turned and not restarts else (), restarts=restarts)
        return None

    # ---------------------------------------------------------------- processes

    def _ids(self, name: str, replicas: int = 0) -> tuple[str, ...]:
        """Names for new processes of a node."""
        count = replicas or len(self._to_be[name].instances)
        ids = [name] if count == 1 else [f"{name}.{replica}" for replica in range(count)]
        return tuple(f"{id}+{self._number}" if id in self._known else id for id in ids)

    def _fresh(self, plan: Plan, name: str, replicas: int = 0) -> list[Instance]:
        model = next(i for i in plan.instances if i.node == name)
        return [self._endpoints.like(model, id, replica) for replica, id in enumerate(self._ids(name, replicas))]

    def _with_processes(self, plan: Plan, new: PlannedNode, fresh: list[Instance]) -> Plan:
        """The plan with all processes of a node new: the old ones leave when the new ones have taken over."""
        node = msgspec.structs.replace(new, instances=tuple(i.id for i in fresh), source=plan.node(new.name).source)
        instances = [i for i in plan.instances if i.node != new.name] + fresh
        nodes = tuple(node if n.name == new.name else n for n in plan.nodes)
        return msgspec.structs.replace(plan, nodes=nodes, instances=tuple(instances))

    def _tidy(self, plan: Plan) -> Plan:
        """In the order of the file, and everybody with the addresses that its links need."""
        order = {name: place for place, name in enumerate(dict.fromkeys([*self._to_be, *self._there]))}
        said = {edge.id: place for place, edge in enumerate(self._wanted.edges)}
        queues = [e for e in plan.edges if e.link == "queue"]
        takes, feeds = {e.consumer for e in queues}, {e.producer for e in queues}
        instances = (self._endpoints.completed(i, i.node in takes, i.node in feeds) for i in plan.instances)
        return msgspec.structs.replace(
            plan,
            nodes=tuple(sorted(plan.nodes, key=lambda n: order[n.name])),
            instances=tuple(sorted(instances, key=lambda i: (order[i.node], i.replica))),
            edges=tuple(sorted(plan.edges, key=lambda e: said.get(e.id, len(said)))),
        )


def replaced(live: Plan, wanted: Plan) -> list[str]:
    """The nodes that get new processes, beside the old ones, on the way from one plan to the other."""
    there = {n.name: n for n in live.nodes}
    return [
        n.name for n in wanted.nodes if n.name in there and needs_process(there[n.name], n) and not in_place(there[n.name], n)
    ]


def processes_change(live: Plan, wanted: Plan) -> list[str]:
    """The nodes of which processes come or go on that way: those that are replaced, or get another number of replicas."""
    counts = {n.name: len(n.instances) for n in live.nodes}
    resized = {n.name for n in wanted.nodes if counts.get(n.name, len(n.instances)) != len(n.instances)}
    return [n.name for n in wanted.nodes if n.name in resized or n.name in replaced(live, wanted)]


def _keeping(old: PlannedNode, new: PlannedNode) -> PlannedNode:
    return msgspec.structs.replace(new, instances=old.instances, source=old.source)
