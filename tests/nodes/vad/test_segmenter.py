"""Speech as histories: a probability for each window of 32 ms, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import Limits, Segmenter, SpeechEvent

W = 512  # samples a window
LIMITS = Limits(
    threshold=0.5,
    neg_threshold=0.35,
    min_speech=2 * W,
    min_silence=3 * W,
    pause_every=2 * W,
    end_silence=8 * W,
    pre_roll=W,
)

# s: silence, S: speech, m: between the two thresholds
PROBABILITY = {"s": 0.1, "S": 0.9, "m": 0.4}


def started(window: int, kept: int = 1) -> SpeechStarted:
    return SpeechStarted(window * W, (window - kept) * W)


def paused(window: int, silent: int) -> SpeechPaused:
    return SpeechPaused(window * W, silent * 32)


def ended(window: int, silent: int) -> SpeechEnded:
    return SpeechEnded(window * W, silent * 32)


HISTORIES: dict[str, tuple[str, list[SpeechEvent]]] = {
    "silence": ("ssssss", []),
    "a click is no speech": ("ssSsss", []),
    "speech is told from its first sample, once it is long enough": ("ssSS", [started(2)]),
    "the pre-roll does not reach before the beginning": ("SS", [started(0, kept=0)]),
    "a short dip is no pause": ("SSSssSSS", [started(0, kept=0)]),
    "a pause is told when it is long enough": ("SSSsss", [started(0, kept=0), paused(3, 3)]),
    "and again while it lasts": ("SSSsssssss", [started(0, kept=0), paused(3, 3), paused(3, 5), paused(3, 7)]),
    "speech goes on after a pause": ("SSSsssSS", [started(0, kept=0), paused(3, 3), started(6)]),
    "a click does not end a pause, nor its count": ("SSSsssSss", [started(0, kept=0), paused(3, 3), paused(3, 5)]),
    "no pause is told at a sound that may be speech": (
        "SSSsssSSsss",
        [started(0, kept=0), paused(3, 3), started(6), paused(8, 3)],
    ),
    "long silence ends it": ("SSS" + "s" * 9, [started(0, kept=0), paused(3, 3), paused(3, 5), paused(3, 7), ended(3, 8)]),
    "the next speech is its own": (
        "SS" + "s" * 8 + "sSS",
        [started(0, kept=0), *(paused(2, n) for n in (3, 5, 7)), ended(2, 8), started(11)],
    ),
    "between the thresholds speech goes on": ("SSmmmmmm", [started(0, kept=0)]),
    "between the thresholds a dip goes on": ("SSSsmm", [started(0, kept=0), paused(3, 3)]),
    "a sound between the thresholds does not end a pause": ("SSSsssmmm", [started(0, kept=0), paused(3, 3), paused(3, 5)]),
    "between the thresholds silence stays silent": ("smmmmmm", []),
    "a sound may rise through the middle": ("sSmm", [started(1)]),
}


@pytest.mark.parametrize(("windows", "expected"), HISTORIES.values(), ids=HISTORIES)
def test_history(windows: str, expected: list[SpeechEvent]) -> None:
    assert told(windows) == expected


def told(windows: str) -> list[SpeechEvent]:
    segmenter = Segmenter(LIMITS)
    return [event for c in windows for event in segmenter.window(PROBABILITY[c], W)]


def test_the_pre_roll_does_not_reach_into_the_speech_before() -> None:
    segmenter = Segmenter(replace(LIMITS, pre_roll=10 * W))
    events = [event for c in "ssSSsssSS" for event in segmenter.window(PROBABILITY[c], W)]
    assert events == [SpeechStarted(2 * W, 0), paused(4, 3), SpeechStarted(7 * W, 4 * W)]


def test_audio_that_does_not_begin_at_zero() -> None:
    segmenter = Segmenter(LIMITS, begin=100 * W)
    events = [event for c in "SSsss" for event in segmenter.window(PROBABILITY[c], W)]
    assert events == [SpeechStarted(100 * W, 100 * W), paused(102, 3)]


@pytest.mark.parametrize(("windows", "last"), [("SSS", ended(3, 0)), ("SSSss", ended(3, 2)), ("SSSssss", ended(3, 4))])
def test_the_end_of_the_audio_ends_the_speech(windows: str, last: SpeechEnded) -> None:
    segmenter = Segmenter(LIMITS)
    for c in windows:
        list(segmenter.window(PROBABILITY[c], W))
    assert list(segmenter.finish()) == [last]
    assert list(segmenter.finish()) == []


@given(st.text(alphabet="sSm", max_size=80))
def test_events_follow_each_other_sensibly(windows: str) -> None:
    open_speech, last_at = False, 0
    for event in told(windows):
        assert event.at >= last_at
        last_at = event.at
        if isinstance(event, SpeechStarted):
            assert event.keep_from <= event.at
            open_speech = True
        else:
            assert open_speech, "only speech can pause or end"
            open_speech = not isinstance(event, SpeechEnded)
