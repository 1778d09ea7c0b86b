"""Loops in a graph of nodes: which edges close one, and which loops could block for ever."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Arc: TypeAlias = tuple[str, str]  # producer, consumer


def closing(nodes: Sequence[str], arcs: Iterable[Arc]) -> set[Arc]:
    """The arcs that close a loop, seen from the nodes in the given order, depth first.

    Without them the graph is acyclic. Put the sources first: an arc that leads back towards them is then the closing one.
    """
    onward: dict[str, list[str]] = {node: [] for node in nodes}
    for producer, consumer in arcs:
        onward[producer].append(consumer)
    found: set[Arc] = set()
    done: set[str] = set()
    path: dict[str, None] = {}

    def visit(node: str) -> None:
        path[node] = None
        for consumer in onward[node]:
            if consumer in path:
                found.add((node, consumer))
            elif consumer not in done:
                visit(consumer)
        path.popitem()
        done.add(node)

    for node in nodes:
        if node not in done:
            visit(node)
    return found


def loops(nodes: Sequence[str], arcs: Sequence[Arc]) -> list[list[str]]:
    """One loop for each arc that closes one: its nodes in the direction of flow, the one that comes first in `nodes` first."""
    found = closing(nodes, arcs)
    return [_from_first(nodes, _way(arcs, *reversed(arc))) for arc in dict.fromkeys(arcs) if arc in found]


def _way(arcs: Sequence[Arc], start: str, goal: str) -> list[str]:
    """The shortest way from one node to another; there must be one."""
    ways = [[start]]
    seen = {start}
    for way in ways:
        if way[-1] == goal:
            return way
        for producer, consumer in arcs:
            if producer == way[-1] and consumer not in seen:
                seen.add(consumer)
                ways.append([*way, consumer])
    raise ValueError(f"no way from {start} to {goal}")


def _from_first(nodes: Sequence[str], loop: list[str]) -> list[str]:
    start = min(range(len(loop)), key=lambda i: nodes.index(loop[i]))
    return loop[start:] + loop[:start]
