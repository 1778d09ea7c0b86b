from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.errors import NodeError
from graph.testing import Harness, Sent
from nodes.kinds import AudioFrame
from nodes.turn.base import TurnConfirmed, TurnPending, Utterance
from nodes.turn.recent_audio import RecentAudio
from nodes.turn.smart_turn import SmartTurn
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.silero import SileroVad
from tests.nodes.recording import RATE_HZ, frames

pytestmark = pytest.mark.models

Fed = tuple[str, Any, bytes, int]


@pytest.fixture(scope="module")
def recording() -> tuple[list[Fed], list[Fed]]:
    """The audio, and the VAD's events about it."""
    audio: list[Fed] = [("audio", frame, payload, spoken_ns) for frame, payload, spoken_ns in frames()]
    with Harness(SileroVad) as vad:
        for _, frame, payload, spoken_ns in audio:
            vad.feed("audio", frame, payload, origin_ns=spoken_ns)
        vad.drain()
        speech: list[Fed] = [("speech", sent.body, b"", sent.origin_ns) for sent in vad.sent]
    return audio, speech


def in_step(audio: list[Fed], speech: list[Fed]) -> list[Fed]:
    return sorted(audio + speech, key=lambda fed: fed[3])


def said(feed: list[Fed], judge: Any = None, **config: Any) -> tuple[list[Sent], list[Any]]:
    with Harness(SmartTurn, **config) as turn:
        if judge is not None:
            turn.node.judge = judge
        for port, body, payload, origin_ns in feed:
            turn.feed(port, body, payload, origin_ns=origin_ns)
        turn.drain()
        return turn.sent, turn.marks


def test_three_questions_are_three_turns_and_none_is_cut(recording: tuple[list[Fed], list[Fed]]) -> None:
    sent, _ = said(in_step(*recording))
    confirmed = [s for s in sent if isinstance(s.body, TurnConfirmed)]
    utterances = [s for s in sent if isinstance(s.body, Utterance)]
    assert [s.turn for s in confirmed] == [s.turn for s in utterances] == [1, 2, 3]
    assert {s.body.reason for s in confirmed} == {"judge"}
    speech_s = [len(u.payload) / 2 / RATE_HZ for u in utterances]
    assert all(1.5 < s < 4 for s in speech_s), speech_s


def test_the_last_spoken_sample_is_found_in_the_samples(recording: tuple[list[Fed], list[Fed]]) -> None:
    sound = np.concatenate([np.frombuffer(payload, "<i2") for _, _, payload, _ in recording[0]])
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 300)
    last_loud = [*loud[np.flatnonzero(np.diff(loud) > 3 * RATE_HZ)], loud[-1]]
    _, marks = said(in_step(*recording))
    zeros = [m.mark for m in marks if m.mark.zero]
    assert [m.name for m in zeros] == ["last_spoken_sample"] * 3
    assert [m.at_ns for m in zeros] == pytest.approx([(n + 1) * 1e9 / RATE_HZ for n in last_loud], abs=1e6)


@pytest.mark.parametrize("order", ["audio first", "speech first", "shuffled"])
def test_the_order_in_which_audio_and_speech_arrive_changes_nothing(recording: tuple[list[Fed], list[Fed]], order: str) -> None:
    audio, speech = recording
    asked: list[int] = []

    def judge(samples: NDArray[np.int16]) -> float:
        asked.append(len(samples))
        return 0.9 if len(asked) % 3 == 0 else 0.1

    expected, _ = said(in_step(audio, speech), judge)
    assert any(isinstance(s.body, TurnPending) for s in expected)
    asked.clear()
    feed = {"audio first": audio + speech, "speech first": speech + audio, "shuffled": shuffled(audio, speech)}[order]
    got, _ = said(feed, judge)
    assert [(s.body, s.payload, s.turn, s.revision) for s in got] == [(s.body, s.payload, s.turn, s.revision) for s in expected]


def shuffled(audio: list[Fed], speech: list[Fed]) -> list[Fed]:
    """Both in their own order, but woven together at random."""
    queues, chance = [list(audio), list(speech)], random.Random(7)
    woven = []
    while any(queues):
        queue = chance.choice([q for q in queues if q])
        woven.append(queue.pop(0))
    return woven


def feed_of(*events: Any, seconds: float = 8) -> list[Fed]:
    """Loud audio, and events that the VAD might have made of it."""
    loud = np.full(512, 1000, "<i2").tobytes()
    audio: list[Fed] = [("audio", AudioFrame(RATE_HZ, n), loud, n) for n in range(0, int(seconds * RATE_HZ), 512)]
    return audio + [("speech", event, b"", 0) for event in events]


def test_a_judge_that_is_never_sure_is_overruled_by_the_ceiling() -> None:
    events = [SpeechStarted(1600, 0), *(SpeechPaused(16_000, ms) for ms in range(96, 2100, 32))]
    sent, _ = said(feed_of(*events), lambda samples: 0.1)
    assert [s.body.silence_ms for s in sent if isinstance(s.body, TurnPending)] == [224, 416, 800]
    [confirmed] = [s.body for s in sent if isinstance(s.body, TurnConfirmed)]
    assert (confirmed.reason, confirmed.silence_ms) == ("ceiling", 2016)


def test_audio_that_ends_in_mid_speech_ends_the_turn() -> None:
    sent, _ = said(feed_of(SpeechStarted(1600, 0), SpeechEnded(int(8 * RATE_HZ), 0)), lambda samples: 0.1)
    assert [s.body.reason for s in sent if isinstance(s.body, TurnConfirmed)] == ["end"]
    assert [len(s.payload) for s in sent if isinstance(s.body, Utterance)] == [8 * RATE_HZ * 2]


def test_a_turn_longer_than_is_kept_loses_its_beginning_and_says_so() -> None:
    with Harness(SmartTurn, max_turn_s=5) as turn:
        turn.node.judge = lambda samples: 0.9
        for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), SpeechPaused(7 * RATE_HZ, 224)):
            turn.feed(port, body, payload, origin_ns=origin_ns)
        assert turn.warnings == ["turn 1 is longer than 5 s: its beginning is not transcribed"]
        [utterance] = [s for s in turn.sent if isinstance(s.body, Utterance)]
        assert utterance.body.start > 2 * RATE_HZ


def test_sessions_have_turns_of_their_own() -> None:
    with Harness(SmartTurn) as turn:
        turn.node.judge = lambda samples: 0.9
        for session in ("ann", "bob"):
            for port, body, payload, origin_ns in feed_of(SpeechStarted(1600, 0), SpeechPaused(RATE_HZ, 224), seconds=2):
                turn.feed(port, body, payload, origin_ns=origin_ns, session=session)
        assert [(s.session, s.turn) for s in turn.sent if isinstance(s.body, Utterance)] == [("ann", 1), ("bob", 1)]


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeError) as told:
        Harness(SmartTurn, model=str(tmp_path))
    assert str(told.value) == f"0 .onnx files in {tmp_path}: `model` must name one Smart Turn model"


@pytest.fixture
def audio() -> Iterator[RecentAudio]:
    with Harness(SmartTurn, setup=False):
        yield RecentAudio(seconds=1, sample_rate=RATE_HZ)


def add(audio: RecentAudio, start: int, values: list[int], spoken_ns: int = 0) -> None:
    from graph.message import Message

    audio.add(Message(AudioFrame(RATE_HZ, start), np.array(values, "<i2").tobytes(), origin_ns=spoken_ns))


def test_lost_frames_are_silence(audio: RecentAudio) -> None:
    add(audio, 0, [1, 2])
    add(audio, 4, [5, 6])
    assert audio.samples(0, 6).tolist() == [1, 2, 0, 0, 5, 6]
    assert audio.samples(1, 5).tolist() == [2, 0, 0, 5]


def test_every_sample_knows_when_it_was_spoken(audio: RecentAudio) -> None:
    add(audio, 0, [1] * 16, spoken_ns=5_000_000)
    assert audio.spoken_at_ns(15) == 5_000_000
    assert audio.spoken_at_ns(0) == 5_000_000 - 15 * 62_500
    assert audio.spoken_at_ns(99) == 0


def test_what_is_old_is_forgotten(audio: RecentAudio) -> None:
    for start in range(0, 3 * RATE_HZ, 1000):
        add(audio, start, [start // 1000 + 400] * 1000)
    assert audio.begin >= 3 * RATE_HZ - RATE_HZ - 1000
    assert audio.last_loud(0, 3 * RATE_HZ) == 3 * RATE_HZ - 1
    assert audio.last_loud(0, audio.begin) is None
