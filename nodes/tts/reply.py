"""What has come of a reply and how much of it was spoken, so that another process can go on where one has died. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nodes.llm.base import Token
    from nodes.tts.clauses import Clauses

Known: TypeAlias = tuple[int, int, int, int, str, str, int, bool, bool]
"""A reply as plain data: turn, revision, run, next, text, its part that was not spoken, start, begun, over."""


@dataclass(slots=True)
class Reply:
    """A turn's reply. Its text goes to `clauses`, and clause by clause to those that are due."""

    turn: int
    revision: int
    clauses: Clauses
    run: int = 0  # of the language model: it may say something else each time that it is asked
    next: int = 0  # index of the token that comes next
    text: str = ""  # of all tokens
    start: int = 0  # samples sent
    begun: bool = False
    over: bool = False
    due: list[str] = field(default_factory=list)  # that are to be spoken; the first one is, until it is taken out
    _known: int = 0  # tokens below this index came to a former life of the voice
    _repeated: int | None = None  # how much of the text was said again by the language model's next life

    def snapshot(self) -> Known:
        """What a next life has to know; of a reply that is over, only that."""
        text, rest = ("", "") if self.over else (self.text, "".join(self.due) + self.clauses.rest)
        return self.turn, self.revision, self.run, self.next, text, rest, self.start, self.begun, self.over

    @classmethod
    def restored(cls, state: Known, clauses: Clauses) -> Reply:
        """The reply that another had, with clauses of one's own."""
        turn, revision, run, next, text, rest, start, begun, over = state
        due = clauses.feed(rest)
        return cls(turn, revision, clauses, run, next, text, start, begun, over, due=due, _known=next)

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
