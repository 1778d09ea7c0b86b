"""What differs between two plans, in words, and whether a running graph can be changed so. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from graph.plan import Edge, Plan, PlannedNode

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
    "swap": "swap",
    "probation_s": "probation",
}
_GRAPH = {
    "name": "name",
    "orphan_after_s": "orphan_after",
    "drain_within_s": "drain_within",
    "max_message": "max_message",
    "shared_memory": "shared_memory",
}
_FOR_GOOD = ("link", "delivery", "order")  # what a link is cannot be changed while messages are under way on it


@dataclass(frozen=True)
class Difference:
    """One line of what differs."""

    where: str  # a node, an edge, or empty: the graph itself
    text: str
    applies: bool = True  # False: only a new start of the graph can bring it about


def differences(live: Plan, wanted: Plan) -> list[Difference]:
    """What differs, in the order of the file."""
    called = renames(live, wanted)
    told = [Difference(new, f"was '{old}'") for old, new in called.items()]
    for old, new in called.items():
        live = renamed(live, old, new)
    return [*_of_graph(live, wanted), *told, *_of_nodes(live, wanted), *_of_edges(live, wanted)]


def _of_graph(live: Plan, wanted: Plan) -> Iterator[Difference]:
    for field, key in _GRAPH.items():
        old, new = getattr(live, field), getattr(wanted, field)
        if old != new:
            yield Difference("", f"{key}: {_shown(old)} -> {_shown(new)}", applies=False)


def _of_nodes(live: Plan, wanted: Plan) -> Iterator[Difference]:
    old, new = ({n.name: n for n in plan.nodes} for plan in (live, wanted))
    for name, node in new.items():
        if name not in old:
            yield Difference(name, f"new: {node.use}", applies=not program_near(wanted, name))
        else:
            yield from of_node(old[name], node, fixed(live, old[name], node))
    for name in old.keys() - new.keys():
        yield Difference(name, "removed", applies=not program_near(live, name))


# ---------------------------------------------------------------- names


def renames(live: Plan, wanted: Plan) -> dict[str, str]:
    """By the name that a node had, the one that it has: where one has gone, and one has come that is the same but for its
    name, and there is no doubt which."""
    gone, come = _names(live) - _names(wanted), _names(wanted) - _names(live)
    found: dict[str, list[str]] = {}
    for old in (n.name for n in live.nodes if n.name in gone):
        alike = [new for new in come if _alike(live, old, wanted, new)]
        found[old] = alike if not program_near(live, old) and live.node(old).replaceable else []
    claimed = [new for alike in found.values() for new in alike]
    return {old: alike[0] for old, alike in found.items() if len(alike) == 1 and claimed.count(alike[0]) == 1}


def _names(plan: Plan) -> set[str]:
    return {node.name for node in plan.nodes}


def _alike(live: Plan, old: str, wanted: Plan, new: str) -> bool:
    one, other = live.node(old), wanted.node(new)
    same = msgspec.structs.replace(one, name=new, instances=other.instances, fallback=other.fallback, after=other.after)
    links = ({(e.port, e.input) for e in p.edges if e.consumer == n} for p, n in ((live, old), (wanted, new)))
    return same == other and len(one.instances) == len(other.instances) and next(links) == next(links)


def renamed(plan: Plan, old: str, new: str) -> Plan:
    """The plan with a node under another name; its processes keep theirs."""

    def name(one: str) -> str:
        return new if one == old else one

    replace = msgspec.structs.replace
    return replace(
        plan,
        nodes=tuple(replace(n, name=name(n.name), after=tuple(map(name, n.after))) for n in plan.nodes),
        instances=tuple(replace(i, node=name(i.node)) for i in plan.instances),
        edges=tuple(replace(e, producer=name(e.producer), consumer=name(e.consumer)) for e in plan.edges),
    )


# ---------------------------------------------------------------- nodes


def program_near(plan: Plan, name: str) -> str:
    """Why the processes of a node cannot come and go while it runs; empty where they can."""
    edges = [e for e in plan.edges if name in (e.producer, e.consumer)]
    for one in dict.fromkeys([name, *(node for e in edges for node in (e.producer, e.consumer))]):
        if plan.node(one).command:
            who = "it is" if one == name else f"its neighbour '{one}' is"
            return f"{who} a program, which learns its links when it starts"
    return ""


def fixed(live: Plan, old: PlannedNode, new: PlannedNode) -> bool:
    """True where a node cannot become another while it runs."""
    if bool(old.command) != bool(new.command):
        return True
    if in_place(old, new) and len(old.instances) == len(new.instances):
        return False
    replaces = needs_process(old, new)
    moves = replaces or len(old.instances) != len(new.instances)
    return (replaces and not old.replaceable) or (moves and bool(program_near(live, old.name)))


def of_node(old: PlannedNode, new: PlannedNode, fixed: bool = False) -> Iterator[Difference]:
    """What differs of one node."""
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
    if old.source != new.source:
        yield Difference(old.name, "has inputs now" if old.source else "has no inputs any more", applies=False)
    for field, key in _RULES.items():
        before, after = (msgspec.to_builtins(getattr(node, field)) for node in (old, new))
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and field == "restart":
            for path, one, other in _changed(before, after):
                yield Difference(old.name, f"restart.{path.removesuffix('_s')}: {_shown(one)} -> {_shown(other)}")
        else:
            yield Difference(old.name, key if field == "fallback" else f"{key}: {_shown(before)} -> {_shown(after)}")


def in_place(old: PlannedNode, new: PlannedNode) -> bool:
    """True where a node becomes another in new processes under the old names, started when the old ones have ended."""
    return new.swap == "in_place" and needs_process(old, new)


def needs_process(old: PlannedNode, new: PlannedNode) -> bool:
    """True where a node becomes another only in a new process."""
    keys = {path.partition(".")[0] for path, _, _ in _changed(old.config, new.config)}
    if keys and keys <= set(old.changeable) and keys <= set(new.changeable):
        new = msgspec.structs.replace(new, config=old.config)
    return any(getattr(old, field) != getattr(new, field) for field in _PROCESS)


# ---------------------------------------------------------------- edges


def _of_edges(live: Plan, wanted: Plan) -> Iterator[Difference]:
    old, new = ({e.id: e for e in plan.edges} for plan in (live, wanted))
    for id, edge in new.items():
        if id not in old:
            yield Difference(id, "new", applies=may_move(live, wanted, edge))
        else:
            yield from _of_edge(old[id], edge)
    for id in old.keys() - new.keys():
        yield Difference(id, "removed", applies=may_move(live, wanted, old[id]))


def _of_edge(old: Edge, new: Edge) -> Iterator[Difference]:
    for path, before, after in _changed(msgspec.to_builtins(old), msgspec.to_builtins(new)):
        if path not in ("feedback", "stale"):  # they follow from the others
            text = f"{path.removesuffix('_s')}: {_shown(before)} -> {_shown(after)}"
            yield Difference(old.id, text, applies=path not in _FOR_GOOD)


def may_move(live: Plan, wanted: Plan, edge: Edge) -> bool:
    """True where a link can come or go while its ends run."""
    ends = [plan.node(name) for plan in (live, wanted) for name in (edge.producer, edge.consumer) if name in _names(plan)]
    if any(node.command for node in ends):
        return False
    if not all(name in _names(plan) for plan in (live, wanted) for name in (edge.producer, edge.consumer)):
        return True  # it comes or goes with its node
    # What a node has heard of a stream is counted once, however many inputs it feeds.
    same = [
        e
        for plan in (live, wanted)
        for e in plan.edges
        if (e.producer, e.port, e.consumer, e.link) == (edge.producer, edge.port, edge.consumer, "stream")
    ]
    return edge.link == "queue" or all(e.input == edge.input for e in same)


def adjusted(old: Edge, new: Edge) -> Edge:
    """A link with the settings that it may get while it is used."""
    return old if any(getattr(old, field) != getattr(new, field) for field in _FOR_GOOD) else new


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
