"""Nothing is done with what belongs to a turn before that is confirmed: it is held back, and if the user goes on it is gone.

The sink's gate is what keeps a reply from being heard too early. Those of language model and voice only save work: where they
cannot know whether something is confirmed they let it through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graph.message import Message
from nodes.sessions import Sessions
from nodes.turn.base import TurnConfirmed, TurnDismissed, TurnFailed, TurnNews

SESSIONS_REMEMBERED = 1000
MOST_WAITING = 10_000  # messages of a session, three minutes of audio frames: of more the oldest are gone


@dataclass(slots=True)
class _Session:
    confirmed: tuple[int, int] = (0, 0)  # the newest turn and revision that was
    waiting: deque[Message[Any]] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))


class Gate:
    """Of each session the newest turn that was confirmed, and what waits for one that is not.

    :param since_ns: from when on every confirmation is heard (monotonic). What was said before that may have been confirmed
        unheard, so it passes; 0: it waits all the same.
    """

    def __init__(self, since_ns: int = 0) -> None:
        self._since_ns = since_ns
        self._sessions: Sessions[_Session] = Sessions(_Session, SESSIONS_REMEMBERED)

    def passes(self, message: Message[Any]) -> bool:
        """True where a message may go on now; otherwise it waits here. What belongs to no turn always may."""
        if message.turn == 0 or 0 < message.origin_ns < self._since_ns:
            return True
        known = self._sessions.get(message.session)
        if known is not None and _turn(message) <= known.confirmed:
            return True
        self._of(message.session).waiting.append(message)
        return False

    def told(self, news: Message[TurnNews]) -> list[Message[Any]]:
        """What goes on now that this is known. What waited for an older revision, or for a turn that was none, never will."""
        body, turn = news.body, _turn(news)
        if isinstance(body, TurnDismissed):
            self._keep(news.session, lambda one: one <= turn)
        if not isinstance(body, TurnConfirmed | TurnFailed):
            return []
        session = self._of(news.session)
        session.confirmed = max(turn, session.confirmed)
        released = [one for one in session.waiting if _turn(one) == turn]
        self._keep(news.session, lambda one: one > turn)
        return released

    def withdraw(self, session: str, turn: int, revision: int) -> None:
        """Everything older is stale."""
        self._keep(session, lambda one: one >= (turn, revision))

    @property
    def waiting(self) -> Collection[str]:
        """Sessions of which something waits."""
        return [name for name, session in self._sessions.items() if session.waiting]

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """By session the newest turn and revision that was confirmed, for `restore`; what waits is not in it."""
        return {name: session.confirmed for name, session in self._sessions.items()}

    def restore(self, state: Mapping[str, Iterable[int]]) -> None:
        """Go on with sessions that another had."""
        for name, (turn, revision) in state.items():
            self._of(name).confirmed = turn, revision

    def _keep(self, name: str, stays: Callable[[tuple[int, int]], bool]) -> None:
        session = self._sessions.get(name)
        if session is not None:
            staying = [one for one in session.waiting if stays(_turn(one))]
            session.waiting.clear()
            session.waiting.extend(staying)

    def _of(self, name: str) -> _Session:
        session = self._sessions.of(name)
        for _forgotten in self._sessions.surplus():
            pass
        return session


def _turn(message: Message[Any]) -> tuple[int, int]:
    return message.turn, message.revision
