"""What real models said in a scenario, and when (`graph test --record`): for the stand-ins that say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from graph.errors import NodeError

Pieces: TypeAlias = list[tuple[float, str]]
"""Pieces of a reply, each with the seconds that it takes after the one before."""


class Transcript(NamedTuple):
    text: str
    after_s: float


class Replay:
    """A recording, or none. A revision that was not recorded is answered as the turn's last one was."""

    def __init__(self, path: Path | None) -> None:
        """:raises NodeError: the file is no recording."""
        self._said: dict[str, list[dict[str, Any]]] = {}
        if path is None:
            return
        try:
            self._said = msgspec.json.decode(path.read_bytes(), type=dict[str, list[dict[str, Any]]])
        except msgspec.DecodeError as error:
            raise NodeError(f"{path} is no recording ({error}): graph test --record writes it anew") from error

    def transcript(self, session: str, turn: int, revision: int) -> Transcript | None:
        """What was understood of a turn; None where that is not recorded."""
        found = self._find("stt", session, turn, revision)
        return None if found is None else Transcript(found["text"], found["after_s"])

    def tokens(self, session: str, turn: int, revision: int) -> Pieces | None:
        """The reply to a turn, piece by piece; None where that is not recorded."""
        found = self._find("llm", session, turn, revision)
        return None if found is None else [(after_s, piece) for after_s, piece in found["pieces"]]

    def clause(self, session: str, turn: int, text: str) -> tuple[float, float] | None:
        """How many seconds it took to speak a clause, and how many it was heard; None where that is not recorded."""
        for one in self._said.get("tts", ()):
            if (one["session"], one["turn"], one["text"]) == (session, turn, text):
                return one["after_s"], one["lasts_s"]
        return None

    def _find(self, role: str, session: str, turn: int, revision: int) -> dict[str, Any] | None:
        of_turn = [one for one in self._said.get(role, ()) if (one["session"], one["turn"]) == (session, turn)]
        return next((one for one in of_turn if one["revision"] == revision), of_turn[-1] if of_turn else None)
