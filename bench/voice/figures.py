"""What the notes of a session say: pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.voice.script import ASKED, Note
from graph.scenarios.word_error import WordError, word_error
from nodes.marks import FIRST_AUDIO, FIRST_CLAUSE, FIRST_TOKEN, TRANSCRIPT, TURN_CONFIRMED, TURN_FAILED

STAGES = (TURN_CONFIRMED, TRANSCRIPT, FIRST_TOKEN, FIRST_CLAUSE, FIRST_AUDIO)


@dataclass(frozen=True)
class Question:
    """What is said, known from the file."""

    voice: str
    text: str
    last_loud_ns: int  # after its first sample


@dataclass(frozen=True)
class Turn:
    """What became of a question."""

    voice: str
    asked: str
    heard: str  # by the assistant; of a question that was split all the parts
    error: WordError
    latency_ms: float | None  # from its last loud sample to the first audible one of a reply; None: there was none after it
    stages_ms: dict[str, float] = field(default_factory=dict)  # the same zero; of the reply that counts
    cut: bool = False  # a reply was heard before the question had been said
    split: bool = False  # its words were taken for more than one turn
    missed: bool = False  # nothing was heard after it
    doubled: bool = False  # more than one reply was heard

    @property
    def erred(self) -> bool:
        """In taking turns; words that were misheard are told by the word error."""
        return self.cut or self.split or self.missed or self.doubled


@dataclass(frozen=True)
class Session:
    """One arm's turns, the warm-up left out."""

    turns: list[Turn]
    load: float  # of the machine over the minute before it
    others: float  # share of the machine's processor time that went to programs outside the session


class Answered(Protocol):
    """Anything that has turns."""

    @property
    def turns(self) -> list[Turn]: ...


def turns(notes: Sequence[Note], questions: Sequence[Question]) -> list[Turn]:
    """One for each question that was asked, in their order. What happens until the next is asked belongs to it."""
    asked = {note["turn"]: note["at_ns"] for note in notes if note["name"] == ASKED}
    happened = sorted((note for note in notes if note["name"] != ASKED), key=lambda note: note["at_ns"])
    found = []
    for number, begun_ns in sorted(asked.items()):
        end_ns = asked.get(number + 1, math.inf)
        found.append(_turn(questions[number], begun_ns, [one for one in happened if begun_ns <= one["at_ns"] < end_ns]))
    return found


def _turn(question: Question, begun_ns: int, notes: list[Note]) -> Turn:
    zero_ns = begun_ns + question.last_loud_ns
    # Of a turn that was taken up again the newest revision that ended counts: the words of others were thrown away.
    ended = {note["turn"]: note["revision"] for note in notes if note["name"] == TURN_CONFIRMED}
    texts: dict[int, list[str]] = {turn: [] for turn in ended}
    for note in notes:
        if note["name"] == TRANSCRIPT and ended.get(note["turn"]) == note["revision"] and note["text"]:
            texts[note["turn"]].append(note["text"])
    said = [" ".join(parts) for parts in texts.values() if parts]
    failed_ns = min((note["at_ns"] for note in notes if note["name"] == TURN_FAILED), default=math.inf)
    replies = [note for note in notes if note["name"] == FIRST_AUDIO and note["at_ns"] < failed_ns]  # then only apologies come
    answer = next((note for note in replies if note["at_ns"] >= zero_ns), None)
    return Turn(
        voice=question.voice,
        asked=question.text,
        heard=" ".join(said),
        error=word_error(question.text, " ".join(said)),
        latency_ms=None if answer is None else (answer["at_ns"] - zero_ns) / 1e6,
        stages_ms={} if answer is None else _stages(notes, answer, zero_ns),
        cut=any(note["at_ns"] < zero_ns for note in replies),
        split=len(said) > 1,
        missed=answer is None,
        doubled=len(replies) > 1,
    )


def _stages(notes: list[Note], answer: Note, zero_ns: int) -> dict[str, float]:
    """When each was done for the reply that was heard; of several marks of one name the last, of replies the first."""
    turn = answer["turn"], answer["revision"]
    mine = [note for note in notes if (note["turn"], note["revision"]) == turn and note["at_ns"] <= answer["at_ns"]]
    return {note["name"]: (note["at_ns"] - zero_ns) / 1e6 for note in mine if note["name"] in STAGES}


def p90(values: Sequence[float]) -> float:
    """The least value that nine of ten do not exceed (nearest rank).

    :raises IndexError: there are none.
    """
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


@dataclass(frozen=True)
class Ratio:
    """Ours by theirs over the same turns; None where one of the two has no latency at all."""

    turns: int
    median: float | None
    p90: float | None


def compared(ours: Sequence[Session], theirs: Sequence[Session], clean: bool) -> Ratio:
    """Over all turns, or over those in which neither side erred; sessions and turns of the two stand at the same places."""
    pairs = [
        pair
        for sessions in zip(ours, theirs, strict=True)
        for pair in zip(*(session.turns for session in sessions), strict=True)
        if not clean or not any(turn.erred for turn in pair)
    ]
    mine, others = ([pair[side].latency_ms for pair in pairs if pair[side].latency_ms is not None] for side in (0, 1))
    if not mine or not others:
        return Ratio(len(pairs), None, None)
    return Ratio(len(pairs), statistics.median(mine) / statistics.median(others), p90(mine) / p90(others))


def latencies(sessions: Sequence[Answered]) -> list[float]:
    """Of all turns that were answered, in milliseconds."""
    return of_all(sessions, lambda turn: turn.latency_ms)


def of_all(sessions: Sequence[Answered], value: Callable[[Turn], float | None]) -> list[float]:
    """A value of every turn that has it."""
    return [found for session in sessions for turn in session.turns if (found := value(turn)) is not None]
