"""What is made of what was heard around an interruption."""

from __future__ import annotations

import numpy as np
import pytest

from bench.bargein.figures import FalseAlarm, Interruption, Session, session
from bench.bargein.script import DROPPED, LISTENS_NS, WATCHED_NS, over
from bench.bargein.sounds import ALARMS, QUESTION, UH_HUH, Sound, order
from bench.square_wave import PEAK_S16, RATE_HZ, Loudness, Stretch, frames, merged, stretches
from bench.voice.script import ASKED, PATIENCE_NS, Floor, Note
from nodes.marks import FIRST_AUDIO

MS = 1_000_000
FULL, SOFT = Loudness.FULL, Loudness.SOFT
SPEECH = Sound(QUESTION, 200 * MS, 1200 * MS)
COUGH = Sound(UH_HUH, 200 * MS, 450 * MS)


def note(name: str, at_ms: int) -> Note:
    return Note(name=name, at_ns=at_ms * MS, turn=1, revision=0, text="")


def stretch(begin_ms: float, end_ms: float, loudness: Loudness = FULL) -> Stretch:
    return Stretch(int(begin_ms * MS), int(end_ms * MS), loudness)


def said(sound: Sound, heard: list[Stretch], *notes: Note) -> Session:
    """Of a sound that is loud from 10,200 ms on, after a first question; the next one comes at 20,000 ms."""
    asked = [note(ASKED, 1000), note(ASKED, 10_000), note(ASKED, 20_000)]
    return session([*asked, *notes], heard, [SPEECH, sound, SPEECH], 0, 0)


def test_a_reply_ducks_pauses_and_is_dropped() -> None:
    heard = [stretch(5000, 10_300), stretch(10_300, 10_360, SOFT), stretch(13_000, 19_000)]
    found = said(SPEECH, heard, note(FIRST_AUDIO, 5000), note(DROPPED, 10_620), note(FIRST_AUDIO, 13_000))
    assert found.interruptions[0] == Interruption(100, 160, 160, 420, answered=True)
    assert (found.unheard, found.unanswered) == (1, 1)  # the last one: nothing is known of what came after


def test_what_came_back_before_it_was_dropped_was_heard() -> None:
    heard = [stretch(5000, 10_300), stretch(10_700, 10_800)]
    found = said(SPEECH, heard, note(DROPPED, 10_800))
    assert found.interruptions[0] == Interruption(100, 100, 600, 600, answered=False)


def test_a_reply_that_goes_on_has_no_times() -> None:
    found = said(SPEECH, [stretch(5000, 20_500)])
    assert found.interruptions[0] == Interruption(None, None, None, None, answered=False)


def test_a_sound_into_silence_says_nothing() -> None:
    found = said(SPEECH, [stretch(5000, 10_100)])
    assert (found.interruptions, found.unheard) == ([], 2)


def test_after_a_false_alarm_a_reply_comes_back() -> None:
    heard = [stretch(5000, 10_300), stretch(10_300, 10_360, SOFT), stretch(10_650, 20_300)]
    assert said(COUGH, heard).alarms == [FalseAlarm(UH_HUH, noticed=True, lost=False, back_ms=200)]


def test_a_false_alarm_may_go_unnoticed() -> None:
    unnoticed = FalseAlarm(UH_HUH, noticed=False, lost=False, back_ms=None)
    assert said(COUGH, [stretch(5000, 20_300)]).alarms == [unnoticed]
    late = [stretch(5000, 15_000), stretch(15_100, 20_300)]  # the gap is somebody else's
    assert said(COUGH, late).alarms == [unnoticed]


@pytest.mark.parametrize(
    "notes", [[note(DROPPED, 10_500)], [note(FIRST_AUDIO, 13_000)], []], ids=["dropped", "another reply", "silence"]
)
def test_a_false_alarm_can_cost_the_reply(notes: list[Note]) -> None:
    heard = [stretch(5000, 10_300), *([stretch(13_000, 20_300)] if notes else [])]
    assert said(COUGH, heard, *notes).alarms == [FalseAlarm(UH_HUH, noticed=True, lost=True, back_ms=None)]


def test_all_sounds_must_have_been_said() -> None:
    with pytest.raises(ValueError, match="1 of 2"):
        session([note(ASKED, 0)], [], [SPEECH, SPEECH], 0, 0)


def test_loudness_is_read_from_the_samples() -> None:
    (tone,) = frames(100)
    samples = np.frombuffer(tone, "<i2").copy()
    assert set(np.abs(samples)) == {PEAK_S16}
    samples[RATE_HZ // 100 :] //= 4  # softer after 10 ms
    samples[RATE_HZ // 50 :] = 0  # silent after 20
    assert stretches(samples, RATE_HZ, 1100 * MS) == [stretch(1000, 1010), stretch(1010, 1020, SOFT)]
    assert stretches(samples[-RATE_HZ // 50 :], RATE_HZ, 1100 * MS) == []


def test_frames_that_are_a_little_late_leave_no_pause() -> None:
    parts = [stretch(30, 50), stretch(0, 20), stretch(50, 60, SOFT), stretch(120, 130, SOFT)]
    assert merged(parts) == [stretch(0, 50), stretch(50, 60, SOFT), stretch(120, 130, SOFT)]


def test_a_session_has_a_question_after_each_alarm() -> None:
    assert order(2, 0) == [QUESTION] * 3
    sorts = order(1, 2)
    assert sorts[2::2] == [*ALARMS, *ALARMS]
    assert set(sorts[1::2]) == {QUESTION}


def test_the_next_sound_comes_into_the_reply() -> None:
    may_come = over([False, True])
    spoken = 10**10
    heard = Floor(spoken + 1, 0)
    assert not may_come(0, spoken + LISTENS_NS, 0, spoken, heard)
    assert may_come(0, spoken + 1 + LISTENS_NS, 0, spoken, heard)
    assert not may_come(0, spoken + LISTENS_NS, 0, spoken, Floor(spoken - 1, spoken))  # the reply to the one before
    assert may_come(0, spoken + PATIENCE_NS, 0, spoken, Floor())
    assert not may_come(1, spoken + WATCHED_NS - 1, 0, spoken, heard)
    assert may_come(1, spoken + WATCHED_NS, 0, spoken, Floor())
