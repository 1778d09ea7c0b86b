"""From the plan that runs to the one that is wanted: what differs, in words, and the next step towards it. Pure.

A step changes one node, so that whoever stands at the other end of its links stays the same meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from graph.epoch import endpoints, scaled
from graph.plan import Instance, Plan, PlannedNode

_PROCESS = (
    "use",
    "target",
    "config",
    "resources",
    "models",
    "command",
    "outputs",
    "terminal",
    "code",
    "changeable",
)  # other: a new process
_RULES = {  # what the supervisor alone goes by, under its name in the file
    "restart": "restart",
    "critical": "critical",
    "fallback": "fallback",
    "after": "after",
    "start_within_s": "start_within",
    "hang_after_s": "hang_after",
    "dead_after_s": "dead_after",
}
_GRAPH = {
    "name": "name",
    "orphan_after_s": "orphan_after",
    "drain_within_s": "drain_within",
    "max_message": "max_message",
    "shared_memory": "shared_memory",
}


@dataclass(frozen=True)
class Difference:
    """One line of what differs."""

    where: str  # a node, an edge, or empty: the graph itself
    text: str
    applies: bool = True  # False: only a new start of the graph can bring it about


def differences(live: Plan, wanted: Plan) -> list[Difference]:
    """What differs, in the order of the file."""
    return [*_of_graph(live, wanted), *_of_nodes(live, wanted), *_of_edges(live, wanted)]


def _of_graph(live: Plan, wanted: Plan) -> Iterator[Difference]:
    for field, key in _GRAPH.items():
        old, new = getattr(live, field), getattr(wanted, field)
        if old != new:
            yield Difference("", f"{key}: {_shown(old)} -> {_shown(new)}", applies=False)


def _of_nodes(live: Plan, wanted: Plan) -> Iterator[Difference]:
    old, new = ({n.name: n for n in plan.nodes} for plan in (live, wanted))
    for name, node in new.items():
        if name not in old:
            yield Difference(name, f"new: {node.use}", applies=False)
        else:
            yield from _of_node(old[name], node, _fixed(live, old[name], node))
    for name in old.keys() - new.keys():
        yield Difference(name, "removed", applies=False)


def program_near(plan: Plan, name: str) -> str:
    """Why the processes of a node cannot come and go while it runs; empty where they can."""
    edges = [e for e in plan.edges if name in (e.producer, e.consumer)]
    for one in dict.fromkeys([name, *(node for e in edges for node in (e.producer, e.consumer))]):
        if plan.node(one).command:
            who = "it is" if one == name else f"its neighbour '{one}' is"
            return f"{who} a program, which learns its links when it starts"
    return ""


def _fixed(live: Plan, old: PlannedNode, new: PlannedNode) -> bool:
    """True where a node cannot become another while it runs."""
    if bool(old.command) != bool(new.command):
        return True
    replaces = _needs_process(old, new)
    moves = replaces or len(old.instances) != len(new.instances)
    return (replaces and not old.replaceable) or (moves and bool(program_near(live, old.name)))


def _of_node(old: PlannedNode, new: PlannedNode, fixed: bool = False) -> Iterator[Difference]:
    if old.use != new.use:
        yield Difference(old.name, f"use: {old.use} -> {new.use}", applies=not fixed)
    elif old.code != new.code:
        yield Difference(old.name, "its code", applies=not fixed)
    for path, before, after in _changed(old.config, new.config):
        yield Difference(old.name, f"{path}: {_shown(before)} -> {_shown(after)}", applies=not fixed)
    for path, before, after in _changed(msgspec.to_builtins(old.resources), msgspec.to_builtins(new.resources)):
        yield Difference(old.name, f"resources.{path}: {_shown(before)} -> {_shown(after)}", applies=not fixed)
    if len(old.instances) != len(new.instances):
        yield Difference(old.name, f"replicas: {len(old.instances)} -> {len(new.instances)}", applies=not fixed)
    if (old.command, old.outputs) != (new.command, new.outputs) and old.use == new.use:
        yield Difference(old.name, "its ports", applies=False)
    for field, key in _RULES.items():
        before, after = (msgspec.to_builtins(getattr(node, field)) for node in (old, new))
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and field == "restart":
            for path, one, other in _changed(before, after):
                yield Difference(old.name, f"restart.{path.removesuffix('_s')}: {_shown(one)} -> {_shown(other)}")
        else:
            yield Difference(old.name, key if field == "fallback" else f"{key}: {_shown(before)} -> {_shown(after)}")


def _of_edges(live: Plan, wanted: Plan) -> Iterator[Difference]:
    old, new = ({e.id: e for e in plan.edges} for plan in (live, wanted))
    for id, edge in new.items():
        if id not in old:
            yield Difference(id, "new", applies=False)
        elif edge != old[id]:
            for path, before, after in _changed(msgspec.to_builtins(old[id]), msgspec.to_builtins(edge)):
                yield Difference(id, f"{path.removesuffix('_s')}: {_shown(before)} -> {_shown(after)}", applies=False)
    for id in old.keys() - new.keys():
        yield Difference(id, "removed", applies=False)


def _changed(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, before, after) of the values that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _changed(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield path, old, new


def _shown(value: Any) -> str:
    """As one would write it in the file."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


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
    """The plan after one node was changed."""

    plan: Plan
    node: str
    text: str
    replaces: bool = False  # the node has new processes


def next_step(live: Plan, wanted: Plan, known: Collection[str], number: int) -> NextStep | None:
    """The next step from what runs to what is wanted; None when nothing that can be changed differs.

    :param known: instances that were ever started in this run: their names are not given again.
    :param number: of the change.
    :raises CannotScale: there is no port left.
    """
    for new in wanted.nodes:
        old = next((n for n in live.nodes if n.name == new.name), None)
        lines = list(_of_node(old, new, _fixed(live, old, new))) if old is not None else []
        if old is None or not lines or not all(d.applies for d in lines):
            continue
        text = f"'{new.name}': {', '.join(d.text for d in lines)}"
        if _needs_process(old, new):
            return NextStep(_replaced(live, new, known, number), new.name, text, replaces=True)
        plan = msgspec.structs.replace(live, nodes=tuple(_keeping(n, new) if n is old else n for n in live.nodes))
        return NextStep(scaled(plan, new.name, len(new.instances), known, number), new.name, text)
    return None


def replaced(live: Plan, wanted: Plan) -> list[str]:
    """The nodes that get new processes on the way from one plan to the other."""
    there = {n.name: n for n in live.nodes}
    return [
        n.name for n in wanted.nodes if n.name in there and any(_of_node(there[n.name], n)) and _needs_process(there[n.name], n)
    ]


def processes_change(live: Plan, wanted: Plan) -> list[str]:
    """The nodes of which processes come or go on that way: those that are replaced, or get another number of replicas."""
    counts = {n.name: len(n.instances) for n in live.nodes}
    resized = {n.name for n in wanted.nodes if counts.get(n.name, len(n.instances)) != len(n.instances)}
    return [n.name for n in wanted.nodes if n.name in resized or n.name in replaced(live, wanted)]


def _keeping(old: PlannedNode, new: PlannedNode) -> PlannedNode:
    return msgspec.structs.replace(new, instances=old.instances, source=old.source)


def _needs_process(old: PlannedNode, new: PlannedNode) -> bool:
    keys = {path.partition(".")[0] for path, _, _ in _changed(old.config, new.config)}
    if keys and keys <= set(old.changeable) and keys <= set(new.changeable):
        new = msgspec.structs.replace(new, config=old.config)
    return any(getattr(old, field) != getattr(new, field) for field in _PROCESS)


def _replaced(live: Plan, new: PlannedNode, known: Collection[str], number: int) -> Plan:
    """The plan with all processes of a node new: the old ones leave when the new ones have taken over."""
    own = [i for i in live.instances if i.node == new.name]
    handed_out = endpoints(live)
    fresh = []
    for replica in range(len(new.instances)):
        id = new.name if len(new.instances) == 1 else f"{new.name}.{replica}"
        fresh.append(handed_out.like(own[0], f"{id}+{number}" if id in known else id, replica))
    instances: list[Instance] = []
    for one in live.instances:
        if one.node != new.name:
            instances.append(one)
        elif one is own[0]:
            instances += fresh
    node = msgspec.structs.replace(new, instances=tuple(i.id for i in fresh), source=live.node(new.name).source)
    nodes = tuple(node if n.name == new.name else n for n in live.nodes)
    return msgspec.structs.replace(live, nodes=nodes, instances=tuple(instances))
