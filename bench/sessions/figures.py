"""What became of many conversations: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.signed_speech import named
from bench.voice.figures import Question, Turn, turns
from bench.voice.script import ASKED, Note
from nodes.marks import PLAYED, TRANSCRIPT


@dataclass(frozen=True)
class Crowd:
    """One run, the first question of each session left out."""

    turns: list[Turn]
    mixed_up: int  # transcripts and replies with another session's words
    cores: float | None  # processors in use on average
    load: float  # of the machine over the minute before it
    others: float  # share of the machine's processor time that went to programs outside the run


def of_session(notes: Sequence[Note], questions: Sequence[Question], speaker: int) -> tuple[list[Turn], int]:
    """Its turns after the first, and how often it had words that are not its speaker's.

    :raises ValueError: not all of the questions were asked.
    """
    found = turns(notes, questions)
    if len(found) < len(questions):
        raise ValueError(f"speaker {speaker} asked {len(found)} of {len(questions)} questions")
    return found[1:], sum(note["name"] in (TRANSCRIPT, PLAYED) and bool(named(note["text"]) - {speaker}) for note in notes)


def steady(sessions: Sequence[Sequence[Note]]) -> tuple[int, int]:
    """The time in which all sessions talk: from the last one's second question to the first one's last."""
    asked = [[note["at_ns"] for note in notes if note["name"] == ASKED] for notes in sessions]
    return max(one[min(1, len(one) - 1)] for one in asked), min(one[-1] for one in asked)
