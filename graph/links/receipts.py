"""The taker's end of at_least_once: what has been seen, and when it may be acknowledged. Pure.

A node acknowledges an input only after its own at_least_once outputs were acknowledged, so whoever holds a message can
die at any time. The price is repeats. They are known by their cause: the same work done again gives the same one.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from graph.links.base import Taken
from graph.links.counts import Cells
from graph.message import Cause, Header

_ATTEMPTS = 16  # deliveries of one message that are told apart as runs
ORIGINS_REMEMBERED = 1024  # of whose messages an edge knows which it has seen; each life of an origin is one


@dataclass(slots=True, eq=False)
class Receipt:
    """A message that was taken and is not acknowledged yet."""

    cause: Cause
    finish: Callable[[Receipt], None]
    copies: list[Taken] = field(default_factory=list)  # the message and its repeats: all wait for the same work
    open: int = 1  # its handling, and outputs of it that have not been acknowledged
    run: int = 0  # of its outputs
    outputs: dict[str, int] = field(default_factory=dict)  # by edge, how many it has caused

    @property
    def done(self) -> bool:
        return self.open == 0

    def close_one(self) -> None:
        """The handler has ended, or one of the outputs was acknowledged."""
        self.open -= 1
        if self.open == 0:
            self.finish(self)

    def next_cause(self, edge: str) -> Cause:
        """The cause of the next output on an edge: the same when the same work is done again."""
        k = self.outputs.get(edge, 0)
        self.outputs[edge] = k + 1
        return Cause(self.cause.origin, self.cause.number, effect(self.cause.id, edge, k), self.run)


def effect(id: int, edge: str, k: int) -> int:
    """The id of the k-th effect on an edge of the effect `id`: 53 bits that two different effects hardly share."""
    digest = blake2b(f"{id} {edge} {k}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 11


class Receipts:
    """What one edge's consumer has seen. Bounded: an origin's floor tells what will never be sent again.

    `repeatable`: the consumer does the same work in the same way again, so that repeats of its outputs are no news.
    """

    def __init__(self, finish: Callable[[Receipt], None], repeatable: bool = True) -> None:
        self._finish = finish
        self._repeatable = repeatable
        self._origins: OrderedDict[str, dict[int, dict[int, Receipt]]] = OrderedDict()  # by number and id
        self._pruned: dict[str, int] = {}  # up to which number
        self.floors: dict[str, int] = {}

    def __len__(self) -> int:
        """Effects remembered."""
        return sum(len(effects) for seen in self._origins.values() for effects in seen.values())

    def take(self, header: Header, taken: Taken) -> Receipt | None:
        """Take a message; None when it is a repeat: it is done (acknowledged through `finish`) or will be with the first.

        A message of a later run is no repeat: work that may turn out differently replaces what it said before.
        """
        cause = header.cause
        if cause is None:  # its producer tells no cause: every message is its own
            cause = Cause(f"{taken.producer}~{taken.life}.{taken.edge}", taken.seq, 0)
            return Receipt(cause, self._finish, [taken], run=self._run(cause, header))
        seen = self._seen(cause.origin)
        self._forget_below(cause.origin, seen, header.floor)
        effects = seen.setdefault(cause.number, {}) if cause.number >= self.floors.get(cause.origin, 0) else None
        known = effects.get(cause.id) if effects is not None else None
        if effects is None or (known is not None and cause.run <= known.cause.run):
            if known is None or known.done:
                self._finish(Receipt(cause, self._finish, [taken], open=0))
            else:
                known.copies.append(taken)
            return None
        receipt = effects[cause.id] = Receipt(cause, self._finish, [taken], run=self._run(cause, header))
        return receipt

    def _run(self, cause: Cause, header: Header) -> int:
        """The run of this message's effects: a new run of what causes it outweighs being handed over again."""
        return cause.run if self._repeatable else cause.run * _ATTEMPTS + min(header.attempt, _ATTEMPTS - 1)

    def _seen(self, origin: str) -> dict[int, dict[int, Receipt]]:
        seen = self._origins.get(origin)
        if seen is None:
            seen = self._origins[origin] = {}
            if len(self._origins) > ORIGINS_REMEMBERED:
                forgotten = self._origins.popitem(last=False)[0]
                self.floors.pop(forgotten, None)
                self._pruned.pop(forgotten, None)
        else:
            self._origins.move_to_end(origin)
        return seen

    def _forget_below(self, origin: str, seen: dict[int, dict[int, Receipt]], floor: int) -> None:
        if floor <= self.floors.get(origin, 0):
            return
        self.floors[origin] = floor
        if floor - self._pruned.get(origin, 0) >= max(32, len(seen) // 2):  # seldom, because it looks at all of them
            self._pruned[origin] = floor
            for number in [n for n in seen if n < floor]:
                del seen[number]


class Origin:
    """The numbers that a node gives to the messages that begin with it, and which of them are finished with.

    `done` is a cell that outlives the process: the floor that this life or a former one of the same name has come to.
    """

    def __init__(self, name: str, done: Cells | array[int] | None = None) -> None:
        self.name = name
        self._done = array("Q", [0]) if done is None else done
        self._next = 0
        self._open: dict[int, int] = {}  # by number, in ascending order: copies that are not acknowledged yet

    @property
    def floor(self) -> int:
        """All numbers below this one are finished with."""
        return next(iter(self._open), self._next)

    def resume(self) -> int:
        """Go on with the number that former lives have come to; call before the first message.

        :returns: how many messages are done.
        """
        self._next = self._done[0]
        return self._next

    def inherit(self, done: int) -> None:
        """Another has come so far with the same messages; call before the first message."""
        self._done[0] = max(self._done[0], done)

    def begin(self, copies: int) -> Receipt:
        """A new message goes out in so many copies; the receipt is closed once for each."""
        number = self._next
        self._next += 1
        self._open[number] = copies
        return Receipt(Cause(self.name, number, 0), self._ended, open=copies)

    def _ended(self, receipt: Receipt) -> None:
        del self._open[receipt.cause.number]
        self._done[0] = max(self._done[0], self.floor)
