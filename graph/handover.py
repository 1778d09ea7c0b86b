"""The words with which an instance hands its streams over to another: what it has heard, and where the other goes on.

    the supervisor                 every node            one that gives      one that gains
    Replan(number)       ->        reads the plan, meets those that come, and listens to what it gains, holding it back
                         <-        Replanned(number, from where on it hears what it gains)
    HandOver(number, from where)   ->                    goes on until there, stops between two messages
                         <-        HandedOver(number, how far it has come, what it has said, its state)
    TakeOver(number, the same)     ->                                        goes on exactly there
                         <-        TakenOver(number, of whom)

Every word may be said again: after a process, or the supervisor, has died in the middle.
"""

from __future__ import annotations

from typing import Any

import msgspec

from graph.links.counts import LIFE, PARTITIONS, Counts
from graph.message import Count


class Position(msgspec.Struct, frozen=True):
    """How far somebody has come with one producer instance: by topic the number of the next message, in one of its lives."""

    life: Count
    next: dict[str, Count] = {}


class Legacy(msgspec.Struct, frozen=True):
    """What one that gives leaves to those that gain."""

    instance: str
    life: Count
    heard: dict[str, Position] = {}  # by producer instance
    said: dict[str, Count] = {}  # by topic, how many messages: what its successor says comes after them
    newest: dict[str, tuple[int, int]] = {}  # by session, the newest (turn, revision) that it was told of
    state: dict[str, Any] = {}  # by session, what the node's `snapshot` returned
    done: Count = 0  # how many of the messages that began there are done


class Replan(msgspec.Struct, tag="replan"):
    """The plan has changed: read it."""

    number: int


class HandOver(msgspec.Struct, tag="hand over"):
    """Whoever leaves, or listens to less from now on, stops where it is, but not before `starts`."""

    number: int
    starts: dict[str, Position] = {}  # by producer instance, from where on those that gain hear it


class TakeOver(msgspec.Struct, tag="take over"):
    """Go on where another has stopped, with these partitions."""

    number: int
    legacy: Legacy
    partitions: list[int] = []


class Replanned(msgspec.Struct, tag="replanned"):
    """The plan was read; what the node gains it hears from `starts` on."""

    number: int
    starts: dict[str, Position] = {}


class HandedOver(msgspec.Struct, tag="handed over"):
    """Answer to `HandOver`."""

    number: int
    legacy: Legacy


class TakenOver(msgspec.Struct, tag="taken over"):
    """Answer to `TakeOver`."""

    number: int
    giver: str


def positions(counts: Counts) -> dict[str, Position]:
    """How far an instance had come with its producers, from the counters that it left."""
    found: dict[str, Position] = {}
    for (producer, source), cells in counts.expecting.items():
        position = found.setdefault(producer, Position(max(0, cells[LIFE] - 1)))
        position.next.update({f"{source}/{p:02x}": n for p, n in enumerate(cells[:PARTITIONS]) if n})
    return found
