"""What was said before, session by session: the memory of a conversation, bounded in every direction."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypedDict

SESSIONS_REMEMBERED = 1000
CUT_OFF = "…"  # how the model is shown that a reply of its own broke off


Known: TypeAlias = tuple[int, str, str, bool, bool]
"""An exchange as plain data: turn, said, reply, finished, begun."""


class ChatMessage(TypedDict):
    """One message of a chat, as chat templates take it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(slots=True)
class Exchange:
    """What the user said in a turn, and what has been replied so far."""

    turn: int  # 0: belongs to no turn
    said: str
    pieces: list[str] = field(default_factory=list)
    finished: bool = False  # False: the reply is being written, or it was interrupted
    begun: bool = False  # something of the reply was heard

    @property
    def reply(self) -> str:
        return "".join(self.pieces)

    def messages(self) -> list[ChatMessage]:
        """The exchange as the model sees it later on. There always is a reply: templates insist that the roles alternate."""
        reply = self.reply if self.finished else self.reply + CUT_OFF
        return [{"role": "user", "content": self.said}, {"role": "assistant", "content": reply}]


class History:
    """The last exchanges of every session; of too many sessions, the one that was silent longest is forgotten.

    :param exchanges: how many a session keeps beside the current one.
    """

    def __init__(self, exchanges: int, sessions: int = SESSIONS_REMEMBERED) -> None:
        self._past_exchanges = exchanges
        self._most_exchanges = exchanges + 1
        self._most_sessions = sessions
        self._sessions: OrderedDict[str, deque[Exchange]] = OrderedDict()

    def begin(self, session: str, turn: int, said: str) -> Exchange:
        """Open the current exchange, to which the caller adds the reply.

        What is known of the turn already, of an earlier revision or of a life that died with it, gives way.
        """
        exchanges = self._sessions.setdefault(session, deque(maxlen=self._most_exchanges))
        self._sessions.move_to_end(session)
        if len(self._sessions) > self._most_sessions:
            self._sessions.popitem(last=False)
        former = self._of(session, turn)
        if former is not None:
            exchanges.remove(former)
        exchanges.append(Exchange(turn, said, begun=former is not None and former.begun))
        return exchanges[-1]

    def _of(self, session: str, turn: int) -> Exchange | None:
        """The exchange of a turn; 0 is none."""
        return next((one for one in self._sessions.get(session, ()) if turn and one.turn == turn), None)

    def reply_to(self, session: str, turn: int, said: str) -> str | None:
        """The whole reply, where this was replied to in this turn already."""
        exchange = self._of(session, turn)
        return exchange.reply if exchange is not None and exchange.finished and exchange.said == said else None

    def withdraw(self, session: str, turn: int) -> bool:
        """The user goes on in this turn, or it failed: what was understood of it so far, and the reply to that, was never said.

        Unless the reply was already being heard.

        :returns: whether anything has changed by that.
        """
        exchange = self._of(session, turn)
        if exchange is None or exchange.begun:
            return False
        self._sessions[session].remove(exchange)
        return True

    def begins(self, session: str, turn: int) -> None:
        """The reply in a turn is being heard."""
        exchange = self._of(session, turn)
        if exchange is not None:
            exchange.begun = True

    def heard(self, session: str, turn: int, reply: str) -> bool:
        """Of the reply in a turn no more was heard than this. False where that turn is not remembered."""
        exchange = self._of(session, turn)
        if exchange is None:
            return False
        exchange.pieces[:], exchange.finished = [reply], False
        return True

    def snapshot(self) -> dict[str, list[Known]]:
        """By session its exchanges, for `restore`."""
        return {name: [(e.turn, e.said, e.reply, e.finished, e.begun) for e in past] for name, past in self._sessions.items()}

    def restore(self, state: Mapping[str, Iterable[Known]]) -> None:
        """Go on with sessions that another had."""
        for name, exchanges in state.items():
            past = self._sessions[name] = deque(maxlen=self._most_exchanges)
            past.extend(Exchange(turn, said, [reply], finished, begun) for turn, said, reply, finished, begun in exchanges)
        while len(self._sessions) > self._most_sessions:
            self._sessions.popitem(last=False)

    def past(self, session: str) -> int:
        """How many exchanges came before the current one."""
        return len(self._sessions[session]) - 1

    def messages(self, session: str, oldest: int = 0) -> list[ChatMessage]:
        """The past exchanges from the `oldest` on, then what the user said in the current one."""
        *past, current = self._sessions[session]
        return [m for exchange in past[oldest:] for m in exchange.messages()] + current.messages()[:1]

    def is_full(self, session: str) -> bool:
        """The next exchange pushes out the oldest, of several."""
        return 1 < len(self._sessions.get(session, ())) == self._most_exchanges

    def ahead(self, session: str) -> list[Exchange]:
        """The past exchanges of the next prompt: the current one belongs to them then."""
        exchanges = list(self._sessions.get(session, ()))
        return exchanges[max(0, len(exchanges) - self._past_exchanges) :]

    def forget(self, session: str, exchanges: int) -> None:
        """Drop so many of the oldest exchanges of a session."""
        for _ in range(exchanges):
            self._sessions[session].popleft()

    def drop_current(self, session: str) -> None:
        """Forget the current exchange: it led to nothing."""
        self._sessions[session].pop()
