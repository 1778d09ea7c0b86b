"""Work on a turn, by revision: what went into revisions that were withdrawn was in vain."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from graph.message import Message

SESSIONS_REMEMBERED = 1000


class Spent:
    """Of each session what the last turn has cost, in any unit."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, tuple[int, Counter[int]]] = OrderedDict()

    def add(self, message: Message[Any], amount: int) -> None:
        """So much went into the message's turn and revision."""
        turn, by_revision = self._turns.pop(message.session, (0, Counter()))
        if turn != message.turn:
            turn, by_revision = message.turn, Counter()
        by_revision[message.revision] += amount
        self._turns[message.session] = turn, by_revision
        if len(self._turns) > SESSIONS_REMEMBERED:
            self._turns.popitem(last=False)

    def in_vain(self, message: Message[Any]) -> int:
        """How much went into other revisions of the message's turn."""
        turn, by_revision = self._turns.get(message.session, (0, Counter()))
        if turn != message.turn:
            return 0
        return by_revision.total() - by_revision[message.revision]
