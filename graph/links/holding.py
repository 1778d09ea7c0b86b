"""Stream messages that have come and are not to be handled yet: a replica holds back what it gains until whoever had it has
stopped, and a consumer what a successor says until it has heard its predecessor's last word."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from graph.links.base import Route
from graph.message import Header

BEHIND_NS = 1_000_000_000  # so long a last word is waited for: it may have been lost


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic that a consumer hears: looked up by its frame, so that nothing need be parsed."""

    name: bytes
    source: bytes  # `<node>.<port>`
    partition: int
    routes: list[Route]  # the same list for all topics of a source


@dataclass(frozen=True, slots=True)
class Held:
    """A message that waits; its payload was read, so that its memory is not given to another."""

    topic: Topic
    header: Header
    frames: list[bytes]
    payload: bytes | memoryview | None  # None: it was read too late


@dataclass
class Holding:
    """The messages that wait on some topics; at most `depth` of an edge."""

    topics: dict[bytes, Topic] = field(default_factory=dict)
    _held: dict[bytes, deque[tuple[int, Held]]] = field(default_factory=dict)  # by source; numbered as they came
    _came: int = 0

    def hold(self, held: Held) -> None:
        """Keep a message. Of too many the oldest is let go: it is the first that whoever has the topic now handles. If
        not, the gap that it leaves is counted when the next one is handled."""
        waiting = self._held.setdefault(held.topic.source, deque())
        if len(waiting) >= max(route.edge.depth for route in held.topic.routes):
            waiting.popleft()
        self._came += 1
        waiting.append((self._came, held))

    def release(self, names: Iterable[bytes]) -> list[Held]:
        """These topics are held back no longer: what waited of them, in the order in which it came."""
        free = {name for name in names if self.topics.pop(name, None) is not None}
        released = []
        for source, waiting in self._held.items():
            released += [one for one in waiting if one[1].topic.name in free]
            self._held[source] = deque(one for one in waiting if one[1].topic.name not in free)
        return [held for _, held in sorted(released, key=lambda one: one[0])]


@dataclass(frozen=True, slots=True)
class Behind:
    """What a successor says on a topic comes behind what its predecessor has said there."""

    topic: Topic
    successor: str
    giver: str
    life: int  # of the giver
    said: int  # messages
    until_ns: int
