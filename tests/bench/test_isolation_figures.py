"""How much longer turns take in bad company, and who is killed when."""

from __future__ import annotations

import pytest

from bench.isolation.figures import Growth, by_victim, growth, median_ms, missed, share
from bench.isolation.killing import KILLED, TRANSCRIBING_NS, VICTIMS, due, victim
from bench.voice.figures import Session, Turn
from bench.voice.script import ASKED, PATIENCE_NS, Note
from graph.scenarios.word_error import WordError
from nodes.marks import FIRST_CLAUSE

S = 1_000_000_000
LENGTHS_NS = [2 * S] * 10


def session(*latencies_ms: float | None) -> Session:
    return Session([Turn("joe", "", "", WordError(), ms, missed=ms is None) for ms in latencies_ms], 0, 0)


def test_growth_is_of_medians() -> None:
    assert growth([session(900, 1000), session(1100)], [session(1200, 1300, 1400)]).ms == 300
    assert growth([], [session(1200)]).ms is None


def test_a_missed_turn_took_at_least_the_patience() -> None:
    assert median_ms([session(None, 1000, None)]) == PATIENCE_NS / 1e6
    assert missed([session(None, 1000), session(None)]) == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [((1000, 1200), (2000, 2800), 0.25), ((1000, 900), (2000, 2800), 0), ((1000, 1200), (2000, 1900), None)],
    ids=["grew less", "did not grow", "nothing to compare with"],
)
def test_our_growth_is_a_share_of_theirs(
    ours: tuple[float, float], theirs: tuple[float, float], expected: float | None
) -> None:
    assert share(Growth(*ours), Growth(*theirs)) == expected


def test_turns_are_told_by_who_was_killed() -> None:
    told = by_victim([session(1000, None, 1400), session(2000, 800, None)], ["tts", "llm", "tts"])
    assert told == {"tts": (4, 3, 1400), "llm": (2, 1, 800)}


def note(name: str, at_s: float, turn: int = 1, text: str = "") -> Note:
    return Note(name=name, at_ns=int(at_s * S), turn=turn, revision=0, text=text)


def killed_at(turn: int, *notes: Note) -> float | None:
    """When the turn's victim is due, in seconds after it began; nothing before that."""
    known = [note(ASKED, 0, 0), note(FIRST_CLAUSE, 3, 1), note(ASKED, 10, turn), *notes]
    for tenth in range(100):
        now_ns = 10 * S + tenth * S // 10
        happened = [one for one in known if one["at_ns"] <= now_ns]
        if due(happened, LENGTHS_NS, now_ns) is not None:
            return tenth / 10
    return None


def test_each_is_killed_while_it_works() -> None:
    at = {victim(turn): killed_at(turn, note(FIRST_CLAUSE, 13)) for turn in range(1, len(VICTIMS) + 1)}
    assert at == {"tts": 3, "llm": None, "stt": (2 * S + TRANSCRIBING_NS) / S, "vad": 1, "turn": 1}


def test_it_is_killed_once_and_the_first_turn_is_left_alone() -> None:
    assert due([note(ASKED, 0, 0)], LENGTHS_NS, 9 * S) is None
    dead = [note(ASKED, 0, 4), note(KILLED, 1, 4, "vad")]
    assert due(dead, LENGTHS_NS, 9 * S) is None
    assert due(dead[:1], LENGTHS_NS, 9 * S) == 4
