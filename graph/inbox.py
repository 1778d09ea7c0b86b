"""What waits for a node's handlers: bounded, in order, less what has become stale."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from graph.links.base import Arrival, Ended
from graph.links.counts import DROPPED, STALE
from graph.links.partitions import partition_of

SESSIONS_REMEMBERED = 10_000  # of whose newest (turn, revision) a worker keeps track


@dataclass(frozen=True, slots=True)
class Quiet:
    """An input has fallen silent, or is heard again."""

    input: str
    silent: bool


Item: TypeAlias = Arrival | Ended | Quiet
Unhandled: TypeAlias = dict[tuple[str, bytes], tuple[int, int]]  # by instance and topic, a life and a number


class Inbox:
    """`let_go` is told of every arrival that no handler will see, `withdraw` of every session whose turns before this
    (turn, revision) are stale."""

    def __init__(
        self,
        let_go: Callable[[Arrival], None],
        withdraw: Callable[[str, tuple[int, int]], None] = lambda session, turn: None,
    ) -> None:
        self._let_go = let_go
        self._withdraw = withdraw
        self.items: deque[Item] = deque()  # the same one for good: the loop looks at it
        self._newest: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._last: Arrival | None = None  # that was handed out

    def add(self, item: Item) -> None:
        """Take in what has come; a stream that is full drops as its edge says."""
        if not isinstance(item, Arrival):
            self.items.append(item)
        elif item.route.interrupts:
            self._interrupt(item)
        elif self._newest and self.stale(item):
            self._drop(item, STALE)
        elif item.route.full:
            self._full(item)
        else:
            item.route.entered()
            self.items.append(item)

    def next(self) -> Item:
        """The oldest item."""
        item = self.items.popleft()
        if isinstance(item, Arrival):
            item.route.left()
            self._last = item
        return item

    def stale(self, arrival: Arrival) -> bool:
        """A message of a turn older than the newest this node was told of; what tells of turns that are over never is."""
        message = arrival.message
        return not arrival.route.past and self.outdated(message.session, message.turn, message.revision)

    def outdated(self, session: str, turn: int, revision: int) -> bool:
        """A newer turn than this one was told of. What belongs to no turn (0) is never old."""
        newest = self._newest.get(session) if turn else None
        return newest is not None and (turn, revision) < newest

    def drop_all(self) -> None:
        """What still comes to a node that has ended is handled by nobody."""
        for arrival in self._arrivals():
            arrival.route.left()
            self._drop(arrival, DROPPED)
        self.items.clear()

    @property
    def newest(self) -> dict[str, tuple[int, int]]:
        """By session, the newest (turn, revision) that was told of."""
        return dict(self._newest)

    def tell(self, newest: Mapping[str, tuple[int, int]]) -> None:
        """What another has been told of, whose sessions are ours now."""
        for session, turn in newest.items():
            self._newest[session] = max(turn, self._newest.get(session, (0, 0)))

    def unhandled(self, partitions: Collection[int]) -> Unhandled | None:
        """By instance and topic, life and number of the oldest stream message of these partitions that waits.

        None where a cut is not possible here: a message was handled on one input and waits on another, or is of a life of
        its producer that is over.
        """
        found: Unhandled = {}
        lives: dict[str, int] = {}
        last = self._last.message.header if self._last is not None else None
        for arrival in self._arrivals():
            header = arrival.message.header
            if header is None or arrival.route.edge.link != "stream" or partition_of(header.session) not in partitions:
                continue
            if lives.setdefault(header.instance, header.life) != header.life:
                return None
            if last is not None and (last.instance, last.port, last.seq) == (header.instance, header.port, header.seq):
                return None
            topic = _topic(arrival)
            if topic is not None:
                found[topic] = min((header.life, header.seq), found.get(topic, (header.life, header.seq)))
        return found

    def forget_ends(self, edge: str) -> None:
        """What waits of the end of a link is of another that had its name."""
        for place, item in enumerate(self.items):
            if isinstance(item, Ended) and edge in item.edges:
                self.items[place] = Ended(item.instance, tuple(one for one in item.edges if one != edge))

    def waits(self, edges: Collection[str]) -> bool:
        """True while something that came on one of these edges waits."""
        return any(arrival.route.edge.id in edges for arrival in self._arrivals())

    def forget(self, partitions: Collection[int]) -> Counter[tuple[str, bytes, str]]:
        """Stream messages of these partitions are another's. Returns how many waited, by instance, topic and edge."""
        forgotten: Counter[tuple[str, bytes, str]] = Counter()
        staying: list[Item] = []
        for item in self.items:
            topic = _topic(item) if isinstance(item, Arrival) else None
            if isinstance(item, Arrival) and topic is not None and partition_of(item.message.session) in partitions:
                item.route.left()
                forgotten[*topic, item.route.edge.id] += 1
            else:
                staying.append(item)
        self.items.clear()
        self.items.extend(staying)
        return forgotten

    def _arrivals(self) -> Iterator[Arrival]:
        return (item for item in self.items if isinstance(item, Arrival))

    def _full(self, arrival: Arrival) -> None:
        route = arrival.route
        if route.edge.when_full != "drop_oldest":
            self._drop(arrival, DROPPED)
            return
        oldest = next(a for a in self._arrivals() if a.route is route)
        self.items.remove(oldest)
        self._drop(oldest, DROPPED)
        self.items.append(arrival)  # one for the other: as many wait as before

    def _interrupt(self, arrival: Arrival) -> None:
        """Make what is older stale, drop what waits of it, and put the interruption behind earlier ones, before all else."""
        message = arrival.message
        newest = max((message.turn, message.revision), self._newest.pop(message.session, (0, 0)))
        self._newest[message.session] = newest
        if len(self._newest) > SESSIONS_REMEMBERED:
            self._newest.popitem(last=False)
        waiting = deque(self.items)
        self.items.clear()
        arrival.route.entered()
        while waiting and isinstance(waiting[0], Arrival) and waiting[0].route.interrupts:
            self.items.append(waiting.popleft())
        self.items.append(arrival)
        for item in waiting:
            if isinstance(item, Arrival) and self.stale(item):
                item.route.left()
                self._drop(item, STALE)
            else:
                self.items.append(item)
        self._withdraw(message.session, newest)

    def _drop(self, arrival: Arrival, why: int) -> None:
        arrival.route.cells[why] += 1
        self._let_go(arrival)


def _topic(arrival: Arrival) -> tuple[str, bytes] | None:
    """The instance and the topic that a stream message is of."""
    header, edge = arrival.message.header, arrival.route.edge
    if header is None or edge.link != "stream":
        return None
    return header.instance, f"{edge.producer}.{edge.port}/{partition_of(header.session):02x}".encode()
