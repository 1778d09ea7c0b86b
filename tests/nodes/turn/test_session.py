"""A session's turns, with a judge that a test can foresee: audio and events in any order give the same turns."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.speech_audio import SAMPLE_RATE_HZ, samples
from nodes.turn.session import MOST_WAITING, VAD_LAG_MS, Session, Spoken
from nodes.turn.taking import Confirm, Pend, Rules
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import Limits, Segmenter, SpeechEvent

W = 512
MS_NS = 1_000_000
RULES = Rules(ask_at_ms=(200, 400, 800), threshold=0.85, max_silence_ms=1500)
LIMITS = Limits(0.5, 0.35, 3 * W, 3 * W, W, 60 * W, 2 * W)

# s: a silent window, S: a spoken one; a turn with two pauses, one that reaches the ceiling, one in which the audio ends
WINDOWS = "s" * 9 + "S" * 40 + "s" * 12 + "S" * 30 + "s" * 20 + "S" * 25 + "s" * 70 + "S" * 50 + "s" * 55 + "S" * 30 + "s" * 5
SOUND = np.random.default_rng(3).integers(-9000, 9000, len(WINDOWS) * W).astype("<i2")
SOUND[[c == "s" for c in WINDOWS for _ in range(W)]] //= 100

Decided = tuple[Pend | Confirm, int, int, int, Spoken | None]


def by_content(sound: NDArray[np.int16]) -> float:
    """An answer that differs when a single sample does."""
    return crc32(sound.tobytes()) % 1000 / 1000


def events() -> Iterator[SpeechEvent]:
    segmenter = Segmenter(LIMITS)
    for window in WINDOWS:
        yield from segmenter.window(0.9 if window == "S" else 0.1, W)
    yield from segmenter.finish()


EVENTS = list(events())


def told(session: Session, decisions: Iterator[Pend | Confirm]) -> Iterator[Decided]:
    for decision in decisions:
        spoken = session.spoken() if isinstance(decision, Confirm) else None
        yield decision, session.taking.turn, session.taking.revision, session.origin_ns, spoken


def decided(bursts: list[int], frame: int = W, max_turn_ms: int = 60_000) -> list[Decided]:
    """Feed so many frames, then so many events, then frames again …; then all that is left."""
    session = Session(RULES, by_content, max_turn_ms)
    frames, speech = iter(range(0, len(SOUND), frame)), iter(enumerate(EVENTS))
    found: list[Decided] = []

    def feed(port: int, most: int) -> None:
        for _ in range(most):
            if port == 0 and (begin := next(frames, None)) is not None:
                payload = SOUND[begin : begin + frame].tobytes()
                origin_ns = (begin + len(payload) // 2) * 1000 * MS_NS // SAMPLE_RATE_HZ
                found.extend(told(session, session.hear_audio(payload, begin, origin_ns)))
            elif port == 1 and (numbered := next(speech, None)) is not None:
                found.extend(told(session, session.hear_event(numbered[1], numbered[0])))

    for n, burst in enumerate(bursts):
        feed(n % 2, burst)
    feed(0, len(SOUND))
    feed(1, len(EVENTS))
    found.extend(told(session, session.finish()))
    return found


EXPECTED = decided([])


def test_the_recorded_history_has_everything_in_it() -> None:
    kinds = {type(decision) for decision, *_ in EXPECTED}
    reasons = {decision.reason for decision, *_ in EXPECTED if isinstance(decision, Confirm)}
    assert kinds == {Pend, Confirm}
    assert reasons == {"judge", "ceiling", "end"}
    assert max(revision for _, _, revision, _, _ in EXPECTED) > 0
    turns = [turn for decision, turn, *_ in EXPECTED if isinstance(decision, Confirm)]
    assert turns == list(range(1, len(turns) + 1))


@settings(max_examples=60, deadline=None)
@given(bursts=st.lists(st.integers(0, 60), max_size=40), frame=st.sampled_from([320, 512, 1000]))
def test_the_order_in_which_audio_and_events_arrive_changes_nothing(bursts: list[int], frame: int) -> None:
    assert decided(bursts, frame) == EXPECTED


@settings(max_examples=20, deadline=None)
@given(bursts=st.lists(st.integers(0, 60), max_size=40))
def test_nor_does_it_where_turns_are_cut_to_their_longest(bursts: list[int]) -> None:
    cut = decided(bursts, max_turn_ms=1500)
    assert cut == decided([], max_turn_ms=1500)
    assert any(spoken.lost for *_, spoken in cut if spoken is not None)


def test_what_was_said_goes_from_the_pre_roll_to_a_little_after_the_end() -> None:
    for spoken in (spoken for *_, spoken in EXPECTED if spoken is not None):
        assert spoken.payload == SOUND[spoken.begin : spoken.begin + len(spoken.payload) // 2].tobytes()
    begin = WINDOWS.index("S") * W - LIMITS.pre_roll
    assert next(spoken.begin for *_, spoken in EXPECTED if spoken is not None) == begin


def test_the_last_loud_sample_is_timed_by_its_frame() -> None:
    session = Session(RULES, lambda sound: 0.9, 60_000)
    sound = np.zeros(SAMPLE_RATE_HZ, "<i2")
    sound[:8001] = 1000
    list(session.hear_audio(sound.tobytes(), 0, 1_000_000_000))
    list(session.hear_event(SpeechStarted(0, 0), 0))
    assert list(session.hear_event(SpeechPaused(7680, 224), 0)) == [Confirm(0.9, "judge")]
    spoken = session.spoken()
    assert spoken is not None
    assert spoken.last_loud_ns == 1_000_000_000 - (SAMPLE_RATE_HZ - 1 - 8000) * 62_500
    assert len(spoken.payload) == 2 * (7680 + samples(200))


def test_quiet_speech_was_last_spoken_where_the_vad_says_so() -> None:
    session = Session(RULES, lambda sound: 0.9, 60_000)
    list(session.hear_audio(np.full(SAMPLE_RATE_HZ, 200, "<i2").tobytes(), 0, 1_000_000_000))
    list(session.hear_event(SpeechStarted(0, 0), 0))
    list(session.hear_event(SpeechPaused(8000, 224), 0))
    spoken = session.spoken()
    assert spoken is not None
    assert spoken.last_loud_ns == 1_000_000_000 - (SAMPLE_RATE_HZ - 8000) * 62_500


def test_the_vad_may_lag_by_the_margin_and_a_turn_loses_nothing() -> None:
    frame = np.full(W, 1000, "<i2").tobytes()
    session = Session(RULES, lambda sound: 0.9, max_turn_ms=5000)
    for begin in range(0, samples(VAD_LAG_MS + 4000), W):
        list(session.hear_audio(frame, begin, 0))
    list(session.hear_event(SpeechStarted(0, 0), 0))
    list(session.hear_event(SpeechPaused(samples(4000), 224), 0))
    spoken = session.spoken()
    assert spoken is not None
    assert (spoken.begin, spoken.lost) == (0, 0)


def test_a_turn_whose_audio_never_comes_is_decided_all_the_same() -> None:
    session = Session(RULES, lambda sound: 0.9, 60_000)
    waiting = [SpeechStarted(W, 0), *(SpeechPaused(n * W, 224) for n in range(2, MOST_WAITING + 2))]
    confirmed = [d for event in waiting for d in session.hear_event(event, 0)]
    assert confirmed == [], "still waiting"
    assert list(session.hear_event(waiting[-1], 0)) == [Confirm(0.9, "judge")]
    assert session.spoken() is None


@pytest.mark.parametrize("ended", [True, False], ids=["the VAD ended it", "the VAD said nothing more"])
def test_a_turn_that_is_open_at_the_end_is_over(ended: bool) -> None:
    session = Session(RULES, by_content, 60_000)
    list(session.hear_audio(SOUND[: 20 * W].tobytes(), 0, 0))
    list(session.hear_event(SpeechStarted(9 * W, 8 * W), 0))
    by_vad = list(session.hear_event(SpeechEnded(20 * W, 0), 0)) if ended else []
    assert by_vad + list(session.finish()) == [Confirm(0.0, "end")]
    spoken = session.spoken()
    assert spoken is not None
    assert spoken.payload == SOUND[8 * W : 20 * W].tobytes()


def test_a_source_that_is_started_again_ends_the_turn_and_what_the_vad_says_of_its_former_life_is_dropped() -> None:
    session = Session(RULES, by_content, 60_000)
    list(session.hear_audio(SOUND[: 40 * W].tobytes(), 0, 0))
    list(session.hear_event(SpeechStarted(9 * W, 8 * W), 0))
    assert list(session.hear_audio(SOUND[:W].tobytes(), 0, 1)) == [Confirm(0.0, "end")]
    assert list(session.hear_event(SpeechEnded(40 * W, 0), 1)) == []
    list(session.hear_audio(SOUND[W : 40 * W].tobytes(), W, 2))
    list(session.hear_event(SpeechStarted(9 * W, 8 * W), 2))
    assert (session.taking.turn, session.taking.open) == (2, True)
