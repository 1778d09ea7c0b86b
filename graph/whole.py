"""Checks of a graph as a whole: is there a source, can it come to rest, who stands in for whom, who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from graph.foreign import Ports
from graph.loops import loops
from graph.source import Place
from graph.spec import Spec
from graph.validation import did_you_mean

if TYPE_CHECKING:
    from graph.resolve import Wire

Found: TypeAlias = tuple[Place, str, str, str]  # where, what, the offending text, a suggestion


def standbys(spec: Spec) -> dict[str, str]:
    """The nodes that only stand in for another, and for whom: they are not run on their own."""
    nodes = spec.graph.nodes
    return {node.fallback: name for name, node in nodes.items() if node.fallback in nodes and node.fallback != name}


def check_whole(spec: Spec, ports: Mapping[str, Ports], wires: Sequence[Wire]) -> Iterator[Found]:
    """What is wrong with the graph though every node of it may be right; `ports` are those of the nodes that were found."""
    yield from _without_source(spec)
    yield from _blocking_loops(spec, wires)
    for name in spec.graph.nodes:
        yield from _order(spec, name)
        yield from _fallback(spec, name, ports)
    yield from _waiting_loops(spec)


def _without_source(spec: Spec) -> Iterator[Found]:
    nodes = spec.graph.nodes
    said = {name: spec.tree.at(("nodes", name)).mapping.get("in") for name in nodes}
    if nodes and all(said[name] and said[name].mapping for name in nodes if name not in standbys(spec)):  # type: ignore[union-attr]
        place = spec.tree.mapping["nodes"]
        hint = "a source, like capture.file, has no `in`"
        yield place.key or place.place, "no node is a source: each waits for another", "nodes", hint


def _blocking_loops(spec: Spec, wires: Sequence[Wire]) -> Iterator[Found]:
    blocking = [w for w in wires if w.connection.link == "queue" and w.when_full == "block"]
    arcs = [(w.producer, w.consumer) for w in blocking]
    for loop in loops(list(spec.graph.nodes), arcs):
        place = next(w.place for w in blocking if (w.producer, w.consumer) == (loop[-1], loop[0]))
        names = " -> ".join([*loop, loop[0]])
        hint = "give one of them when_full: drop_oldest, or make it a stream"
        yield place, f"a loop of blocking queues could wait for ever: {names}", names, hint


def _order(spec: Spec, name: str) -> Iterator[Found]:
    """`after` names other nodes of the graph."""
    nodes, said = spec.graph.nodes, spec.tree.at(("nodes", name, "after"))
    for index, other in enumerate(nodes[name].after):
        place = said.at((index,)).place if isinstance(said.value, list) else said.place
        if other == name:
            yield place, f"{name}: it cannot wait for itself", other, ""
        elif other in standbys(spec):
            yield place, f"{name}: '{other}' is only a fallback, which is not always started", other, standbys(spec)[other]
        elif other not in nodes:
            yield place, f"{name}: unknown node '{other}' in 'after'", other, did_you_mean(other, list(nodes))


def _waiting_loops(spec: Spec) -> Iterator[Found]:
    nodes = spec.graph.nodes
    arcs = [(other, name) for name, node in nodes.items() for other in node.after if other in nodes and other != name]
    for loop in loops(list(nodes), arcs):
        said = spec.tree.at(("nodes", loop[0], "after"))
        names = " -> ".join([*loop, loop[0]])
        yield said.key or said.place, f"nodes that wait for each other would never start: {names}", names, ""


def _fallback(spec: Spec, name: str, ports: Mapping[str, Ports]) -> Iterator[Found]:
    """A fallback is another node with the same ports, that nothing is said of but how it works."""
    nodes, other = spec.graph.nodes, spec.graph.nodes[name].fallback
    if other is None:
        return
    said = spec.tree.at(("nodes", name, "fallback"))
    if other == name:
        yield said.place, f"{name}: it cannot stand in for itself", other, ""
    elif other not in nodes:
        yield said.place, f"{name}: unknown node '{other}' in 'fallback'", other, did_you_mean(other, list(nodes))
    else:
        if name in standbys(spec):
            yield said.place, f"{name}: a fallback has no fallback of its own", other, ""
        for key in ("in", "replicas", "after", "critical", "restart"):
            said_of_it = spec.tree.at(("nodes", other)).mapping.get(key)
            if said_of_it is not None:
                place = said_of_it.key or said_of_it.place
                yield (
                    place,
                    f"{other}: as the fallback of '{name}' it has no '{key}' of its own",
                    key,
                    f"that of '{name}' holds",
                )
        if name in ports and other in ports and (missing := _missing(ports[name], ports[other], set(nodes[name].inputs))):
            yield said.place, f"{name}: its fallback '{other}' does not have the same ports: {missing}", other, ""


def _missing(of: Ports, fallback: Ports, connected: set[str]) -> str:
    """What a fallback lacks, in words: an input that is connected, or an output, with its kinds."""
    lacks = []
    for port in sorted(connected & of.inputs.keys()):
        known = fallback.inputs.get(port)
        if known is None or not {k.kind for k in of.inputs[port].kinds} <= {k.kind for k in known.kinds}:
            lacks.append(f"input '{port}'")
    for port in sorted(of.outputs):
        given = fallback.outputs.get(port)
        if given is None or not {k.kind for k in given.kinds} <= {k.kind for k in of.outputs[port].kinds}:
            lacks.append(f"output '{port}'")
    return ", ".join(lacks)
