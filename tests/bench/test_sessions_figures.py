"""What is made of many conversations."""

from __future__ import annotations

import pytest

from bench.sessions.figures import of_session, steady
from bench.sessions.script import shared_out
from bench.sessions.watch import cores
from bench.voice.figures import Question
from bench.voice.script import ASKED, Note
from nodes.marks import FIRST_AUDIO, PLAYED, TRANSCRIPT, TURN_CONFIRMED

S = 1_000_000_000
QUESTION = Question("joe", "speaker 2", 2 * S)


def note(name: str, at_s: float, turn: int = 1, text: str = "") -> Note:
    return Note(name=name, at_ns=int(at_s * S), turn=turn, revision=0, text=text)


def talk(words: str) -> list[Note]:
    """Two questions and their answers."""
    return [
        one
        for turn, begin in ((0, 10), (1, 20))
        for one in (
            note(ASKED, begin, turn),
            note(TRANSCRIPT, begin + 2.4, turn + 1, words),
            note(TURN_CONFIRMED, begin + 2.5, turn + 1),
            note(FIRST_AUDIO, begin + 3, turn + 1),
            note(PLAYED, begin + 5, turn + 1, f"Hello {words}."),
        )
    ]


def test_the_first_turn_does_not_count() -> None:
    (turn,), mixed_up = of_session(talk("speaker 2"), [QUESTION] * 2, speaker=2)
    assert (turn.latency_ms, turn.missed, turn.error.errors, mixed_up) == (1000, False, 0, 0)


@pytest.mark.parametrize("words", ["speaker 3", "speaker 2 and speaker 3"])
def test_words_of_another_session_show(words: str) -> None:
    _, mixed_up = of_session(talk(words), [QUESTION] * 2, speaker=2)
    assert mixed_up == 4


def test_all_must_have_been_asked() -> None:
    with pytest.raises(ValueError, match="asked 2 of 3"):
        of_session(talk("speaker 2"), [QUESTION] * 3, speaker=2)


def test_processor_time_counts_while_all_talk() -> None:
    sessions = [talk("speaker 1"), [note(ASKED, 11), note(ASKED, 15, 1), note(ASKED, 40, 2)]]
    assert steady(sessions) == (20 * S, 20 * S)
    looks = [(0, 0), (10 * S, 5 * S), (20 * S, 10 * S), (30 * S, 25 * S), (40 * S, 99 * S)]
    assert cores(looks, 10 * S, 30 * S) == 1.0
    assert cores(looks, 11 * S, 29 * S) is None


def test_every_session_gets_its_own_questions() -> None:
    assert shared_out([b"a", b"b", b"c", b"d"], 2) == [[b"a", b"b"], [b"c", b"d"]]
