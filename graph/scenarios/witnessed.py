"""From what the witness wrote to what happened, turn by turn. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Line: TypeAlias = dict[str, Any]
"""What the witness wrote: `what`, `at_ns`, `session`, `turn`, `revision`, `by`, and what belongs to its kind."""


@dataclass
class SeenTurn:
    """What came of a turn that was confirmed; of what came anew, the last."""

    number: int
    heard: str | None = None  # what was understood; None: no transcript came
    written: str = ""  # the whole reply
    replied: str | None = None  # what of it was heard; None: it did not even end
    interrupted: bool = False
    answers: int = 0  # how often a reply began to be heard; an apology is none
    failed: str | None = None  # why there was no reply, or not all of it; None: there was
    apology: str | None = None  # what was heard instead of it
    latency_ms: float | None = None  # from the last loud sample to the first of the reply
    gaps: int = 0  # how often the reply was silent because its voice was late
    prompt: list[dict[str, str]] | None = None  # what the model was shown, without the system prompt

    @property
    def words(self) -> int:
        """How many words of the reply were heard."""
        return len((self.replied or "").split())

    def as_dict(self) -> dict[str, Any]:
        """What does not depend on how fast the machine is, the latency, and the gaps."""
        return {
            "turn": self.number,
            "heard": self.heard,
            "written": self.written,
            "replied": self.replied,
            "interrupted": self.interrupted,
            "gaps": self.gaps,
            "answers": self.answers,
            "failed": self.failed,
            "apology": self.apology,
            "latency_ms": None if self.latency_ms is None else round(self.latency_ms),
        }


@dataclass
class Seen:
    """What happened in a scenario."""

    turns: dict[str, list[SeenTurn]] = field(default_factory=dict)  # by session
    gave_up: list[tuple[str, int]] = field(default_factory=list)  # session and step: what it waited for never came
    over: bool = False  # the user has come to the end of the script


def read_lines(text: str) -> list[Line]:
    """Whole lines only: the last one may be just being written."""
    return [json.loads(line) for line in text.split("\n")[:-1] if line]


def seen(lines: Iterable[Line]) -> Seen:
    """Put together what happened."""
    found = Seen()
    of_turn: dict[tuple[str, int], list[Line]] = {}
    for line in lines:
        if line["what"] == "cue" and line["name"] == "gave_up":
            found.gave_up.append((line["session"], line["step"]))
        elif line["what"] == "cue":
            found.over |= line["name"] == "over"
        elif line["turn"]:
            of_turn.setdefault((line["session"], line["turn"]), []).append(line)
    for (session, number), of_it in sorted(of_turn.items()):
        confirmed = [line["revision"] for line in of_it if line["what"] == "turn_confirmed"]
        if confirmed:
            found.turns.setdefault(session, []).append(_turn(number, of_it, max(confirmed)))
    return found


def _turn(number: int, lines: list[Line], revision: int) -> SeenTurn:
    turn = SeenTurn(number)
    turn.answers = sum(line["what"] == "reply.begins" and line["revision"] <= revision for line in lines)
    asked_ns: int | None = None
    heard_ns: int | None = None
    for line in lines:
        what = line["what"]
        if what == "reply.ends" and line["revision"] > revision and line["text"]:
            turn.apology = line["text"]
        if line["revision"] != revision:
            continue
        if what == "transcript":
            turn.heard = line["text"]
        elif what == "turn_failed":
            turn.failed = line["cause"]
        elif what == "reply":
            turn.written = line["text"]
        elif what == "reply.ends":
            turn.replied, turn.interrupted, turn.gaps = line["text"], line["interrupted"], line["gaps"]
        elif what == "last_spoken_sample":
            asked_ns = line["at_ns"]
        elif what == "first_audio":
            heard_ns = line["at_ns"] if heard_ns is None else heard_ns
        elif what == "prompt":
            turn.prompt = [one for one in json.loads(line["messages"]) if one["role"] != "system"]
    if asked_ns is not None and heard_ns is not None:
        turn.latency_ms = (heard_ns - asked_ns) / 1e6
    return turn
