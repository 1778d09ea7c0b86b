"""What is made of the notes of a session."""

from __future__ import annotations

import pytest

from bench.voice.figures import Question, Session, Turn, compared, p90, turns
from bench.voice.script import ASKED, Note
from graph.scenarios.word_error import WordError
from nodes.marks import FIRST_AUDIO, FIRST_TOKEN, TRANSCRIPT, TURN_CONFIRMED, TURN_FAILED

MS = 1_000_000
QUESTION = Question("joe", "Who wrote Romeo and Juliet?", 2000 * MS)


def note(name: str, at_ms: int, turn: int = 1, revision: int = 0, text: str = "") -> Note:
    return Note(name=name, at_ns=at_ms * MS, turn=turn, revision=revision, text=text)


def asked(number: int, at_ms: int) -> Note:
    return note(ASKED, at_ms, number)


def one(*notes: Note) -> Turn:
    (turn,) = turns([asked(0, 10_000), *notes], [QUESTION])
    return turn


def test_latency_and_stages_count_from_the_last_loud_sample() -> None:
    turn = one(
        note(TRANSCRIPT, 12_300, text="who wrote romeo and juliet"),
        note(TURN_CONFIRMED, 12_400),
        note(FIRST_TOKEN, 12_500),
        note(FIRST_AUDIO, 12_900),
    )
    assert turn.latency_ms == 900
    assert turn.stages_ms == {TRANSCRIPT: 300, TURN_CONFIRMED: 400, FIRST_TOKEN: 500, FIRST_AUDIO: 900}
    assert turn.error == WordError(words=5)
    assert not turn.erred


def test_what_went_ahead_in_vain_is_no_error() -> None:
    turn = one(
        note(TRANSCRIPT, 11_000, text="Who wrote"),
        note(TURN_CONFIRMED, 11_100),
        note(TRANSCRIPT, 12_300, revision=1, text="Who wrote Romeo and Juliet?"),
        note(TURN_CONFIRMED, 12_400, revision=1),
        note(FIRST_AUDIO, 12_900, revision=1),
    )
    assert (turn.heard, turn.erred) == ("Who wrote Romeo and Juliet?", False)
    assert turn.stages_ms == {TRANSCRIPT: 300, TURN_CONFIRMED: 400, FIRST_AUDIO: 900}


def test_words_taken_for_two_turns_are_a_split_turn() -> None:
    turn = one(
        note(TRANSCRIPT, 11_000, text="Who wrote"),
        note(TURN_CONFIRMED, 11_100),
        note(TRANSCRIPT, 12_300, 2, text="Romeo and Juliet?"),
        note(TURN_CONFIRMED, 12_400, 2),
        note(FIRST_AUDIO, 12_900, 2),
    )
    assert (turn.split, turn.cut, turn.doubled, turn.missed) == (True, False, False, False)
    assert turn.error.errors == 0


def test_a_reply_before_the_end_cuts_the_turn_and_another_after_it_doubles_it() -> None:
    cut = note(TURN_CONFIRMED, 11_100), note(FIRST_AUDIO, 11_500)
    turn = one(*cut, note(TURN_CONFIRMED, 12_400, 2), note(FIRST_AUDIO, 12_900, 2))
    assert (turn.cut, turn.doubled, turn.missed, turn.latency_ms) == (True, True, False, 900)
    turn = one(*cut)
    assert (turn.cut, turn.doubled, turn.missed, turn.latency_ms) == (True, False, True, None)


def test_an_apology_is_no_answer() -> None:
    turn = one(note(TURN_CONFIRMED, 12_400), note(TURN_FAILED, 15_000), note(FIRST_AUDIO, 15_300))
    assert (turn.missed, turn.latency_ms) == (True, None)
    turn = one(note(TURN_CONFIRMED, 12_400), note(FIRST_AUDIO, 12_900), note(TURN_FAILED, 15_000), note(FIRST_AUDIO, 15_300))
    assert (turn.missed, turn.doubled, turn.latency_ms) == (False, False, 900)


def test_what_happens_after_the_next_question_belongs_to_that() -> None:
    first, second = turns(
        [asked(0, 10_000), note(TURN_CONFIRMED, 12_500), asked(1, 20_000), note(FIRST_AUDIO, 21_000)], [QUESTION] * 2
    )
    assert first.missed
    assert second.cut


def test_p90_is_the_nearest_rank() -> None:
    assert p90(range(1, 11)) == 9
    assert p90([5.0]) == 5.0


def test_ratios_are_over_the_same_turns() -> None:
    ours = Session([turn_of(500), turn_of(700), turn_of(None, missed=True)], 0, 0)
    theirs = Session([turn_of(1000), turn_of(900, cut=True), turn_of(2000)], 0, 0)
    every = compared([ours], [theirs], clean=False)
    assert (every.turns, every.median, every.p90) == (3, pytest.approx(0.6), pytest.approx(0.35))
    clean = compared([ours], [theirs], clean=True)
    assert (clean.turns, clean.median, clean.p90) == (1, 0.5, 0.5)
    assert compared([ours], [Session([turn_of(None)] * 3, 0, 0)], clean=False).median is None


def turn_of(latency_ms: float | None, cut: bool = False, missed: bool = False) -> Turn:
    return Turn("joe", "", "", WordError(), latency_ms, cut=cut, missed=missed)
