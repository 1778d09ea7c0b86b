"""Replies whose end has not come: which of them never will? Pure, in monotonic time."""

from __future__ import annotations

from typing import TypeAlias

Key: TypeAlias = tuple[str, int, int]  # session, turn, revision


class Unfinished:
    """Of each such reply, when all that came of it has been heard."""

    def __init__(self) -> None:
        self._silent_from_ns: dict[Key, int] = {}
        self._paused_ns: dict[str, int] = {}  # since when, by session

    def hear(self, key: Key, length_ns: int, now_ns: int) -> None:
        """So much more of it has come, to be heard after what came before."""
        self._silent_from_ns[key] = max(self._silent_from_ns.get(key, 0), now_ns) + length_ns

    def end(self, key: Key) -> None:
        """Its end has come."""
        self._silent_from_ns.pop(key, None)

    def cut(self, session: str, turn: int, revision: int) -> None:
        """What is older is heard no longer."""
        for key in [one for one in self._silent_from_ns if one[0] == session and one[1] > 0 and one[1:] < (turn, revision)]:
            del self._silent_from_ns[key]

    def pause(self, session: str, now_ns: int) -> None:
        """What was to be heard is not for now."""
        self._paused_ns.setdefault(session, now_ns)

    def go_on(self, session: str, now_ns: int) -> None:
        """It is heard from where it had paused."""
        since_ns = self._paused_ns.pop(session, now_ns)
        for key, ns in self._silent_from_ns.items():
            if key[0] == session:
                self._silent_from_ns[key] = max(now_ns, ns + now_ns - since_ns)

    def next_ns(self, patience_ns: int) -> int:
        """When the first of them is given up, if it does not pause; 0: there is none."""
        return min(ns + patience_ns for ns in self._silent_from_ns.values()) if self._silent_from_ns else 0

    def given_up(self, now_ns: int, patience_ns: int) -> list[Key]:
        """Those of which nothing came for so long after all was heard; each is told once."""
        heard = [(key, ns) for key, ns in self._silent_from_ns.items() if key[0] not in self._paused_ns]
        late = [key for key, ns in heard if ns + patience_ns <= now_ns]
        for key in late:
            del self._silent_from_ns[key]
        return late
