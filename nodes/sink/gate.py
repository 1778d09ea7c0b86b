"""Nobody hears a reply before its turn is confirmed: until then it is held back, and if the user goes on it is gone."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from graph.message import Message

SESSIONS_REMEMBERED = 1000


class Gate:
    """Of each session the newest turn that was confirmed, and what waits for one that is not."""

    def __init__(self) -> None:
        self._confirmed: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._waiting: dict[str, list[Message[Any]]] = {}  # by session

    def passes(self, message: Message[Any]) -> bool:
        """True where a message may be heard now; otherwise it waits here. What belongs to no turn may always."""
        turn = (message.turn, message.revision)
        if message.turn == 0 or turn <= self._confirmed.get(message.session, (0, 0)):
            return True
        self._waiting.setdefault(message.session, []).append(message)
        return False

    def confirm(self, session: str, turn: int, revision: int) -> list[Message[Any]]:
        """A turn is confirmed: what waited for that may be heard, what waits for an older revision never will."""
        self._confirmed[session] = max((turn, revision), self._confirmed.pop(session, (0, 0)))
        if len(self._confirmed) > SESSIONS_REMEMBERED:
            forgotten, _ = self._confirmed.popitem(last=False)
            self._waiting.pop(forgotten, None)
        waiting = self._waiting.pop(session, [])
        later = [one for one in waiting if (one.turn, one.revision) > (turn, revision)]
        if later:
            self._waiting[session] = later
        return [one for one in waiting if (one.turn, one.revision) == (turn, revision)]

    def withdraw(self, session: str, turn: int, revision: int) -> None:
        """Everything older is stale."""
        newer = [one for one in self._waiting.pop(session, []) if (one.turn, one.revision) >= (turn, revision)]
        if newer:
            self._waiting[session] = newer
