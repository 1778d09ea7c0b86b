"""What has come of a reply and how much of it was spoken, so that another process can go on where one has died. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nodes.llm.base import Token
    from nodes.tts.clauses import Clauses

Known: TypeAlias = tuple[int, int, int, int, int, str, list[str], str, int, bool, bool, str, bool]
"""A reply as plain data: turn, revision, origin, run, next, text, the clauses of it that are due, the rest, start, begun,
complete, cause, over."""


@dataclass(slots=True)
class Reply:
    """A turn's reply. Its text goes to `clauses`, and clause by clause to those that are due."""

    session: str
    turn: int
    revision: int
    origin_ns: int  # of the message that it began with
    clauses: Clauses
    run: int = 0  # of the language model: it may say something else each time that it is asked
    next: int = 0  # index of the token that comes next
    text: str = ""  # of all tokens
    start: int = 0  # samples sent
    begun: bool = False
    complete: bool = False  # its last token has come
    cause: str = ""  # why it is not all of the reply
    over: bool = False  # its end was told
    due: list[str] = field(default_factory=list)  # clauses that are to be spoken
    revived: bool = False  # a former life may have died of the first one that is due
    # When all that was sent has been heard, if it was heard when it was sent: a sink holds it back until the turn is confirmed,
    # and while the user speaks, so it is heard then or later, never sooner.
    runs_out_ns: int = 0
    _known: int = 0  # tokens below this index came to a former life of the voice
    _repeated: int | None = None  # how much of the text was said again by the language model's next life

    @property
    def waits(self) -> bool:
        """There is more to say of it, though nothing more may come."""
        return bool(self.due) or (self.complete and not self.over)

    def sent(self, samples: int, sample_rate: int, now_ns: int) -> None:
        """So many samples more have left."""
        self.start += samples
        self.runs_out_ns = max(self.runs_out_ns, now_ns) + samples * 1_000_000_000 // sample_rate

    def snapshot(self) -> Known:
        """What a next life has to know; of a reply that is over, only that."""
        text, rest = ("", "") if self.over else (self.text, self.clauses.rest)
        said = self.start, self.begun, self.complete, self.cause, self.over
        return self.turn, self.revision, self.origin_ns, self.run, self.next, text, [*self.due], rest, *said

    @classmethod
    def restored(cls, session: str, state: Known, clauses: Clauses) -> Reply:
        """The reply that another had, with clauses of one's own."""
        turn, revision, origin_ns, run, next, text, due, rest, start, begun, complete, cause, over = state
        reply = cls(session, turn, revision, origin_ns, clauses, run, next, text, start, begun, complete, cause, over)
        reply.due, reply.revived, reply._known = [*due, *clauses.feed(rest)], True, next
        return reply

    def repeats(self, token: Token, run: int) -> bool:
        """Whether a token is one of those that have come before, or that the language model's next life says in their place."""
        return run > self.run or token.index < self._known

    def take(self, token: Token, run: int) -> None:
        """Put the clauses that a token completes to those that are to be spoken.

        What has come before is no news: tokens that a former life of the voice had, and what the language model's next life
        says again. If that says something else, the reply begins anew, less what was not spoken of the old one.
        """
        if run > self.run:
            self.run, self._known, self._repeated = run, 0, 0
        if token.index >= self._known:
            self.next = token.index + 1
            self.due += self.clauses.feed(self._news(token.text))
        if token.last:
            self.due += self.clauses.flush()
            self.complete, self.cause = True, token.cause

    def _news(self, text: str) -> str:
        if self._repeated is not None:
            expected = self.text[self._repeated :]
            if expected.startswith(text):
                self._repeated += len(text)
                return ""
            if not text.startswith(expected):
                self.due.clear()
                self.clauses.flush()
                text, self.text, expected = self.text[: self._repeated] + text, "", ""
            text, self._repeated = text[len(expected) :], None
        self.text += text
        return text
