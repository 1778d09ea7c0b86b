"""The turns of a graph, put together from the marks that its nodes make."""

from __future__ import annotations

from dataclasses import dataclass, field

from graph.message import Mark, Message
from nodes.marks import PLAYED, TURN_FAILED


@dataclass(slots=True)
class Turn:
    """What is known of a turn so far."""

    session: str
    number: int  # from 1
    revision: int = 0
    marks: dict[str, Mark] = field(default_factory=dict)  # by name

    def add(self, mark: Mark, revision: int) -> bool:
        """Note a mark; False where nothing came of it.

        Of marks of one name the first counts (the first token, the first audio), and a newer revision begins anew; but after
        a turn has failed there may only be an apology.
        """
        if revision > self.revision:
            self.revision = revision
            if TURN_FAILED not in self.marks:
                self.marks.clear()
        if revision < self.revision or mark.name in self.marks:
            return False
        self.marks[mark.name] = mark
        return True

    def text(self, name: str) -> str:
        """What a mark says was said."""
        return self._field(name, "text")

    @property
    def failed(self) -> str:
        """Why there was no reply, or not all of it; empty: there was."""
        return self._field(TURN_FAILED, "cause")

    @property
    def gaps(self) -> str:
        """That the reply was not heard in one piece, e.g. "2 gaps, 340 ms"; empty: it was."""
        mark = self.marks.get(PLAYED)
        gaps = int(mark.fields.get("gaps", 0)) if mark is not None else 0
        if mark is None or not gaps:
            return ""
        return f"{gaps} gap{'' if gaps == 1 else 's'}, {mark.fields.get('gap_ms', 0)} ms"

    def _field(self, name: str, field: str) -> str:
        mark = self.marks.get(name)
        return "" if mark is None else str(mark.fields.get(field, ""))

    def ms(self, name: str) -> float | None:
        """When a mark was made, after the zero of its turn; None where one of the two is not there (yet)."""
        zero = next((mark for mark in self.marks.values() if mark.zero), None)
        mark = self.marks.get(name)
        return None if zero is None or mark is None else (mark.at_ns - zero.at_ns) / 1e6


class Turns:
    """All turns of all sessions, in the order in which they were first heard of."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, int], Turn] = {}

    def add(self, message: Message[Mark]) -> Turn | None:
        """Note a mark; the turn it belongs to, or None where it tells nothing new of any turn."""
        if message.turn < 1:
            return None
        turn = self._turns.setdefault((message.session, message.turn), Turn(message.session, message.turn))
        return turn if turn.add(message.body, message.revision) else None

    def all(self) -> list[Turn]:
        return list(self._turns.values())
