from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nodes.turn
from graph.errors import MissingExtra, NodeError
from graph.message import Kind
from graph.testing import Harness, Marked, Sent
from nodes.causes import MODEL_FAILED, NOT_UNDERSTOOD, NOTHING_TO_SAY
from nodes.kinds import AudioFrame, Played, ReplyBegins, Text, TranscriptFinal
from nodes.marks import LAST_SPOKEN_SAMPLE, TURN_CONFIRMED, TURN_FAILED
from nodes.turn.base import Interrupt, TurnConfirmed, TurnDismissed, TurnFailed, TurnOnTrial, TurnPending, Utterance
from nodes.turn.smart_turn import SESSIONS_REMEMBERED, SmartTurn
from nodes.vad.base import SpeechPaused, SpeechStarted
from nodes.vad.silero import SileroVad
from tests.nodes.recording import RATE_HZ, frames

pytestmark = pytest.mark.models

Fed = tuple[str, Kind, bytes, int]  # port, body, payload, origin_ns


def never_sure(samples: NDArray[np.int16]) -> float:
    return 0.1


def sure(samples: NDArray[np.int16]) -> float:
    return 0.9


@pytest.fixture(scope="module")
def recording() -> tuple[list[Fed], list[Fed]]:
    """The audio, and the VAD's events about it."""
    audio: list[Fed] = [("audio", frame, payload, spoken_ns) for frame, payload, spoken_ns in frames()]
    with Harness(SileroVad) as vad:
        for port, frame, payload, spoken_ns in audio:
            vad.feed(port, frame, payload, origin_ns=spoken_ns)
        vad.drain()
        speech: list[Fed] = [("speech", sent.body, b"", sent.origin_ns) for sent in vad.sent if sent.port == "speech"]
    return audio, speech


def in_step(audio: list[Fed], speech: list[Fed]) -> list[Fed]:
    return sorted(audio + speech, key=lambda fed: fed[3])


def woven(audio: list[Fed], speech: list[Fed]) -> Iterator[Fed]:
    """Both in their own order, but mixed at random."""
    queues, chance = [list(audio), list(speech)], random.Random(7)
    while any(queues):
        yield chance.choice([q for q in queues if q]).pop(0)


def heard(feed: list[Fed], judge: Any = None, **config: Any) -> tuple[list[Sent], list[Marked]]:
    with Harness(SmartTurn, **config) as turn:
        if judge is not None:
            turn.node.judge = judge
        for port, body, payload, origin_ns in feed:
            turn.feed(port, body, payload, origin_ns=origin_ns)
        turn.drain()
        return turn.sent, turn.marks


@pytest.fixture(scope="module")
def conversation(recording: tuple[list[Fed], list[Fed]]) -> tuple[list[Sent], list[Marked]]:
    return heard(in_step(*recording))


def test_three_questions_are_three_turns_and_none_is_cut(conversation: tuple[list[Sent], list[Marked]]) -> None:
    sent, _ = conversation
    confirmed = [s for s in sent if isinstance(s.body, TurnConfirmed)]
    utterances = [s for s in sent if isinstance(s.body, Utterance)]
    assert [s.turn for s in confirmed] == [s.turn for s in utterances] == [1, 2, 3]
    assert {s.body.reason for s in confirmed} == {"judge"}
    speech_s = [len(u.payload) / 2 / RATE_HZ for u in utterances]
    assert all(1.5 < s < 4 for s in speech_s), speech_s


def test_the_last_spoken_sample_is_found_in_the_samples(
    recording: tuple[list[Fed], list[Fed]], conversation: tuple[list[Sent], list[Marked]]
) -> None:
    sound = np.concatenate([np.frombuffer(payload, "<i2") for _, _, payload, _ in recording[0]])
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 300)
    last_loud = [*loud[np.flatnonzero(np.diff(loud) > 3 * RATE_HZ)], loud[-1]]
    zeros = [m for m in conversation[1] if m.mark.zero]
    assert [(m.mark.name, m.turn) for m in zeros] == [(LAST_SPOKEN_SAMPLE, turn) for turn in (1, 2, 3)]
    assert [m.mark.at_ns for m in zeros] == [pytest.approx((int(n) + 1) * 1e9 / RATE_HZ, abs=1) for n in last_loud]


def test_a_confirmed_turn_is_marked(conversation: tuple[list[Sent], list[Marked]]) -> None:
    sent, marks = conversation
    confirmed = [s for s in sent if isinstance(s.body, TurnConfirmed)]
    marked = [m for m in marks if m.mark.name == TURN_CONFIRMED]
    assert [(m.turn, m.revision) for m in marked] == [(s.turn, s.revision) for s in confirmed]
    for m, s in zip(marked, confirmed, strict=True):
        assert m.mark.fields == {
            "probability": round(s.body.probability, 4),
            "silence_ms": s.body.silence_ms,
            "reason": s.body.reason,
            "went_ahead": False,
            "withdrawn": 0,
        }


@pytest.mark.parametrize("order", ["audio first", "speech first", "woven"])
def test_the_order_in_which_audio_and_speech_arrive_changes_nothing(
    recording: tuple[list[Fed], list[Fed]], conversation: tuple[list[Sent], list[Marked]], order: str
) -> None:
    audio, speech = recording
    feed = {"audio first": audio + speech, "speech first": speech + audio, "woven": list(woven(audio, speech))}[order]
    sent, marks = heard(feed)
    assert sent == conversation[0]
    assert marks == conversation[1]


def feed_of(*events: Kind, seconds: float = 8) -> list[Fed]:
    """Loud audio, and events that the VAD might have made of it."""
    loud = np.full(512, 1000, "<i2").tobytes()
    audio: list[Fed] = [("audio", AudioFrame(RATE_HZ, n), loud, n) for n in range(0, int(seconds * RATE_HZ), 512)]
    return audio + [("speech", event, b"", 0) for event in events]


def test_a_judge_that_is_never_sure_is_overruled_by_the_ceiling() -> None:
    events = [SpeechStarted(1600, 0), *(SpeechPaused(16_000, ms) for ms in range(96, 2100, 32))]
    sent, _ = heard(feed_of(*events), never_sure, ask_at_ms=(200, 400, 800), max_silence_ms=2000)
    assert [s.body.silence_ms for s in sent if isinstance(s.body, TurnPending)] == [224, 416, 800]
    [confirmed] = [s.body for s in sent if isinstance(s.body, TurnConfirmed)]
    assert confirmed == TurnConfirmed(0.1, 2016, "ceiling")


def test_speech_that_goes_on_is_the_same_turn_with_a_second_thought() -> None:
    on = [
        SpeechStarted(1600, 0),
        SpeechPaused(RATE_HZ, 416),
        SpeechStarted(2 * RATE_HZ, RATE_HZ),
        SpeechPaused(3 * RATE_HZ, 416),
    ]
    answers = iter([0.1, 0.9])
    sent, _ = heard(feed_of(*on), lambda samples: next(answers))
    assert [(type(s.body), s.turn, s.revision) for s in sent] == [
        (TurnPending, 1, 0),
        (TurnConfirmed, 1, 1),
        (Utterance, 1, 1),
    ]
    assert sent[-1].body.start == 0


def test_a_turn_longer_than_is_kept_loses_its_beginning_and_says_so() -> None:
    with Harness(SmartTurn, max_turn_s=5) as turn:
        turn.node.judge = sure
        for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), SpeechPaused(7 * RATE_HZ, 500)):
            turn.feed(port, body, payload, origin_ns=origin_ns)
        assert turn.warnings == ["turn 1 of session 'default' lost its first 2.5 s"]
        [utterance] = [s for s in turn.sent if isinstance(s.body, Utterance)]
        assert utterance.body.start == 2.5 * RATE_HZ


def test_a_turn_without_audio_is_dropped_and_said_so() -> None:
    with Harness(SmartTurn) as turn:
        turn.node.judge = sure
        for event in (SpeechStarted(1600, 0), SpeechPaused(7 * RATE_HZ, 416)):
            turn.feed("speech", event)
        assert turn.drain() == []
        assert turn.warnings == ["turn 1 of session 'default' is dropped: its audio never came"]


@pytest.mark.parametrize(
    ("rate_hz", "payload", "why"),
    [(48_000, bytes(1024), "it is of 48000 Hz, 16000 Hz are needed"), (RATE_HZ, bytes(3), "3 bytes are no s16 samples")],
)
def test_audio_that_cannot_be_heard_is_told_once(rate_hz: int, payload: bytes, why: str) -> None:
    with Harness(SmartTurn) as turn:
        for start in (0, 512):
            assert turn.feed("audio", AudioFrame(rate_hz, start), payload, session="ann") == []
        assert turn.warnings == [f"audio of session 'ann' is not heard: {why}"]


def test_sessions_have_turns_of_their_own() -> None:
    with Harness(SmartTurn) as turn:
        turn.node.judge = sure
        for session in ("ann", "bob"):
            for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), SpeechPaused(RATE_HZ, 416), seconds=2):
                turn.feed(port, body, payload, origin_ns=origin_ns, session=session)
        assert [(s.session, s.turn) for s in turn.sent if isinstance(s.body, Utterance)] == [("ann", 1), ("bob", 1)]


def test_of_too_many_sessions_the_one_unheard_of_for_longest_is_ended() -> None:
    with Harness(SmartTurn) as turn:
        for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), seconds=2):
            turn.feed(port, body, payload, origin_ns=origin_ns, session="ann")
        for n in range(SESSIONS_REMEMBERED):
            assert turn.sent == []
            turn.feed("audio", AudioFrame(RATE_HZ, 0), bytes(1024), session=f"other {n}")
        assert [(type(s.body), s.session, s.turn) for s in turn.sent] == [(TurnConfirmed, "ann", 1), (Utterance, "ann", 1)]


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeError) as told:
        Harness(SmartTurn, model=str(tmp_path))
    assert str(told.value) == f"{tmp_path} should hold one .onnx file, and holds none"


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"broken")
    with pytest.raises(NodeError) as told:
        Harness(SmartTurn, model=str(file))
    assert str(told.value).startswith(f"{file} cannot be loaded as an ONNX model: ")


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper.feature_extractor", None)
    monkeypatch.delitem(sys.modules, "nodes.turn.judge", raising=False)
    monkeypatch.delattr(nodes.turn, "judge", raising=False)
    with pytest.raises(MissingExtra) as told:
        Harness(SmartTurn)
    assert str(told.value) == "SmartTurn needs faster_whisper, which is not installed: pip install 'voicegraph[turn]'"


@contextmanager
def replied(inputs: Sequence[str] = ("played", "words"), **config: Any) -> Iterator[Harness[SmartTurn]]:
    """A turn was taken, and its reply is heard; loud audio of 8 s has come."""
    with Harness(SmartTurn, inputs=inputs, **config) as turn:
        turn.node.judge = sure
        for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), SpeechPaused(RATE_HZ, 416)):
            turn.feed(port, body, payload, origin_ns=origin_ns)
        turn.feed("played", ReplyBegins(), turn=1)
        turn.sent.clear()
        turn.marks.clear()
        yield turn


SPEECH = SpeechStarted(2 * RATE_HZ, 2 * RATE_HZ - 4096)
PAUSE = SpeechPaused(int(2.5 * RATE_HZ), 224)


def kinds(sent: list[Sent]) -> list[tuple[type, int, int]]:
    return [(type(s.body), s.turn, s.revision) for s in sent]


def test_words_interrupt_a_reply_and_the_same_utterance_goes_ahead() -> None:
    with replied() as turn:
        assert kinds(turn.feed("speech", SPEECH)) == [(TurnOnTrial, 2, 0)]
        [tried] = turn.feed("speech", PAUSE)
        assert tried.body == Utterance(SPEECH.keep_from, on_trial=True)
        interrupt, ahead = turn.feed("words", TranscriptFinal("Okay, stop.", "en"), turn=2)
        assert (interrupt.body, interrupt.turn, interrupt.revision) == (Interrupt("barge-in"), 2, 0)
        assert (ahead.body, ahead.turn, ahead.revision) == (Utterance(SPEECH.keep_from), 2, 0)
        assert ahead.payload == tried.payload


def test_a_backchannel_is_dismissed_and_marked_on_the_turn_that_goes_on() -> None:
    with replied() as turn:
        turn.feed("speech", SPEECH)
        turn.feed("speech", PAUSE)
        assert kinds(turn.feed("words", TranscriptFinal("Mm-hmm.", "en"), turn=2)) == [(TurnDismissed, 1, 0)]
        [marked] = turn.marks
        assert (marked.turn, marked.mark.fields) == (1, {"text": "Mm-hmm.", "spoken_ms": 500})
        assert not turn.node.in_turn()


def test_how_many_words_it_takes_and_which_do_not_count_can_be_told() -> None:
    for config in ({"min_words": 2}, {"backchannel": ("stop",)}):
        with replied(**config) as turn:
            turn.feed("speech", SPEECH)
            turn.feed("speech", PAUSE)
            assert kinds(turn.feed("words", TranscriptFinal("Stop.", "en"), turn=2)) == [(TurnDismissed, 1, 0)]


def test_who_is_not_told_of_words_goes_by_length() -> None:
    with replied(inputs=("played",)) as turn:
        assert kinds(turn.feed("speech", SPEECH) + turn.feed("speech", PAUSE)) == [(Interrupt, 2, 0), (Utterance, 2, 0)]
        assert not turn.sent[-1].body.on_trial


@contextmanager
def confirmed(**config: Any) -> Iterator[Harness[SmartTurn]]:
    """A turn was taken, and its reply is awaited."""
    with Harness(SmartTurn, inputs=("played",), **config) as turn:
        turn.node.judge = sure
        for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), SpeechPaused(RATE_HZ, 416)):
            turn.feed(port, body, payload, origin_ns=origin_ns)
        turn.sent.clear()
        turn.marks.clear()
        yield turn


def test_a_reply_that_does_not_come_in_time_is_given_up_and_apologised_for() -> None:
    with confirmed(reply_within_s=5, apology="Sorry.") as turn:
        interrupt, failed, apology = turn.due()
        assert turn.clock_ns == 5_000_000_000
        cause = "nothing was heard within 5 s"
        assert [(one.body, one.turn, one.revision) for one in (interrupt, failed, apology)] == [
            (Interrupt("failed"), 1, 1),
            (TurnFailed(cause), 1, 1),
            (Text("Sorry."), 1, 1),
        ]
        [marked] = turn.marks
        assert (marked.mark.name, marked.mark.fields, marked.turn, marked.revision) == (TURN_FAILED, {"cause": cause}, 1, 0)
        assert turn.feed("played", Played(cause="no voice, either"), turn=1, revision=1) == [], "no apology for an apology"


def test_who_was_told_of_a_reply_waits_no_longer() -> None:
    with confirmed(reply_within_s=5) as turn:
        turn.feed("played", ReplyBegins(), turn=1)
        assert turn.due() == []


@pytest.mark.parametrize(
    ("played", "cause", "apologises"),
    [
        (Played(cause=MODEL_FAILED), MODEL_FAILED, True),
        (Played("Half of", 9000, RATE_HZ, cause="it broke off"), "it broke off", True),
        (Played(cause=NOT_UNDERSTOOD), NOT_UNDERSTOOD, False),
        (Played(), NOTHING_TO_SAY, False),
        (Played("All.", 9000, RATE_HZ), None, False),
        (Played("", 0, RATE_HZ, interrupted=True), None, False),
    ],
)
def test_a_turn_fails_with_the_cause_that_the_sink_was_told(played: Played, cause: str | None, apologises: bool) -> None:
    with confirmed(apology="Sorry.") as turn:
        kinds = [type(one.body) for one in turn.feed("played", played, turn=1)]
        assert kinds == ([] if cause is None else [Interrupt, TurnFailed] + apologises * [Text])
        assert [one.mark.fields["cause"] for one in turn.marks] == ([] if cause is None else [cause])


def test_a_turn_that_is_long_over_fails_without_disturbing_anybody() -> None:
    with confirmed(apology="Sorry.") as turn:
        turn.feed("played", ReplyBegins(), turn=1)
        turn.feed("speech", SpeechStarted(int(2.5 * RATE_HZ), 2 * RATE_HZ))
        turn.sent.clear()
        assert turn.feed("played", Played(cause=MODEL_FAILED), turn=1) == []
        assert [one.turn for one in turn.marks] == [1]


def test_the_count_of_turns_is_kept_for_the_next_life() -> None:
    with confirmed() as turn:
        kept = turn.kept
    with Harness(SmartTurn, inputs=("played",)) as next_life:
        next_life.node.judge = sure
        next_life.node.restore(kept)
        for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), SpeechPaused(RATE_HZ, 416)):
            next_life.feed(port, body, payload, origin_ns=origin_ns)
        assert {one.turn for one in next_life.sent} == {2}


def test_what_became_of_a_revision_that_was_withdrawn_is_no_news() -> None:
    with confirmed() as turn:
        turn.feed("speech", SpeechStarted(int(1.5 * RATE_HZ), RATE_HZ))
        turn.feed("speech", SpeechPaused(2 * RATE_HZ, 416))
        assert turn.feed("played", Played(cause=MODEL_FAILED), turn=1, revision=0) == []
        assert TURN_FAILED not in [one.mark.name for one in turn.marks]
        assert kinds(turn.feed("played", Played(cause=MODEL_FAILED), turn=1, revision=1)) == [
            (Interrupt, 1, 2),
            (TurnFailed, 1, 2),
        ]


def sound(level: int, seconds: float, begin: float = 0) -> list[Fed]:
    """Audio as loud as that, from so many seconds on."""
    samples = np.full(512, level, "<i2").tobytes()
    span = range(-int(begin * RATE_HZ) // 512 * -512, int((begin + seconds) * RATE_HZ), 512)
    return [("audio", AudioFrame(RATE_HZ, n), samples, n) for n in span]


def fed(turn: Harness[SmartTurn], feed: list[Fed]) -> None:
    for port, body, payload, origin_ns in feed:
        turn.feed(port, body, payload, origin_ns=origin_ns)


@pytest.mark.parametrize("pause", [False, True])
def test_a_turn_ends_without_a_vad_that_tells_nothing_any_more(pause: bool) -> None:
    with Harness(SmartTurn, vad_within_s=4) as turn:
        turn.node.judge = never_sure
        fed(turn, sound(1000, 2))
        turn.feed("speech", SpeechStarted(1600, 0))
        if pause:
            fed(turn, sound(0, 0.5, begin=2))
            turn.feed("speech", SpeechPaused(2 * RATE_HZ, 96))
        fed(turn, sound(0, 4, begin=2.5 if pause else 2))
        confirmed, utterance = turn.due()
        assert isinstance(confirmed.body, TurnConfirmed)
        assert turn.clock_ns == 4_000_000_000
        assert (confirmed.turn, confirmed.body.reason) == (1, "ceiling")
        assert 2 < len(utterance.payload) / 2 / RATE_HZ < 2.3
        assert turn.warnings == ["turn 1 of session 'default' is ended without it: the VAD has told nothing for 4 s"]
        for late in (SpeechPaused(2 * RATE_HZ, 512), SpeechStarted(3 * RATE_HZ, 2 * RATE_HZ), SpeechPaused(4 * RATE_HZ, 512)):
            assert turn.feed("speech", late) == [], "it was only slow"
        fed(turn, sound(1000, 8, begin=7))
        turn.feed("speech", SpeechStarted(12 * RATE_HZ, 11 * RATE_HZ))
        assert turn.feed("speech", SpeechPaused(14 * RATE_HZ, 96)) == []
        assert turn.node.in_turn() == ["default"]


@pytest.mark.parametrize(("config", "ends_s"), [({}, 60), ({"max_turn_s": 20}, 20), ({"vad_within_s": 0}, 0)])
def test_where_it_is_loud_a_vad_may_be_silent_for_as_long_as_a_turn(config: dict[str, int], ends_s: int) -> None:
    with Harness(SmartTurn, **config) as turn:
        turn.node.judge = never_sure
        fed(turn, sound(1000, 2))
        turn.feed("speech", SpeechStarted(1600, 0))
        assert [type(one.body) for one in turn.due()] == ([TurnConfirmed, Utterance] if ends_s else [])
        assert turn.clock_ns == ends_s * 1_000_000_000


@pytest.mark.parametrize("heard", [False, True])
def test_an_apology_is_not_said_any_more_when_the_next_turn_has_begun(heard: bool) -> None:
    with confirmed(reply_within_s=5, apology="Sorry.") as turn:
        assert isinstance(turn.due()[-1].body, Text)
        if heard:
            turn.feed("played", ReplyBegins(), turn=1, revision=1)
            turn.feed("played", Played("Sorry.", 9000, RATE_HZ), turn=1, revision=1)
        stale = [(one.body, one.turn, one.revision) for one in turn.feed("speech", SpeechStarted(6 * RATE_HZ, 5 * RATE_HZ))]
        assert stale == ([] if heard else [(Interrupt("goes on"), 2, 0)])
        assert turn.feed("speech", SpeechPaused(7 * RATE_HZ, 96))[0].turn == 2
