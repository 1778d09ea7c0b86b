"""What a node remembers of each conversation, bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeVar

S = TypeVar("S")


class Sessions(OrderedDict[str, S]):
    """One state a session, made when the session is first heard of; in the order in which they were heard of last."""

    def __init__(self, make: Callable[[], S], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def of(self, name: str) -> S:
        """The state of a session that has just been heard of."""
        if name not in self:
            self[name] = self._make()
        self.move_to_end(name)
        return self[name]

    def surplus(self) -> Iterator[tuple[str, S]]:
        """Take out those that are too many: the ones unheard of for longest."""
        while len(self) > self._most:
            yield self.popitem(last=False)
