from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.errors import MissingExtra, NodeError
from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.silero import SileroVad
from tests.nodes.recording import RATE_HZ, frames

pytestmark = pytest.mark.models


def events(samples: int = 512, **config: Any) -> list[Any]:
    with Harness(SileroVad, **config) as vad:
        for frame, payload, spoken_ns in frames(samples):
            vad.feed("audio", frame, payload, origin_ns=spoken_ns)
        vad.drain()
        return [sent.body for sent in vad.sent]


@pytest.fixture(scope="module")
def heard() -> list[Any]:
    return events()


def test_the_three_questions_are_three_stretches_of_speech(heard: list[Any]) -> None:
    begun = [e for e in heard if isinstance(e, SpeechEnded)]
    assert len(begun) == 3


def test_the_ends_are_where_the_sound_ends(heard: list[Any]) -> None:
    sound = np.concatenate([np.frombuffer(payload, "<i2") for _, payload, _ in frames()])
    for end in (e.at for e in heard if isinstance(e, SpeechEnded)):
        after = sound[end + RATE_HZ // 10 : end + RATE_HZ]
        before = sound[end - RATE_HZ // 5 : end]
        assert np.abs(before).max() > 300, "speech before it"
        assert np.abs(after).max() < 300, "silence behind it"


def test_pauses_are_told_while_they_last(heard: list[Any]) -> None:
    silences = [e.silence_ms for e in heard if isinstance(e, SpeechPaused)]
    assert silences[:3] == [96, 128, 160]


@pytest.mark.parametrize("samples", [320, 512, 160, 1024])
def test_the_length_of_the_frames_changes_nothing(heard: list[Any], samples: int) -> None:
    assert events(samples) == heard


def test_torch_hears_the_same(heard: list[Any]) -> None:
    pytest.importorskip("torch", reason="the extra 'torch' is not installed")
    assert events(runtime="torch") == heard


def test_sessions_do_not_disturb_each_other(heard: list[Any]) -> None:
    with Harness(SileroVad) as vad:
        noise = np.random.default_rng(1).normal(0, 8000, 512).astype("<i2").tobytes()
        for frame, payload, _ in frames():
            vad.feed("audio", frame, payload, session="ann")
            vad.feed("audio", frame, noise, session="bob")
        vad.drain()
        assert [s.body for s in vad.sent if s.session == "ann"] == heard


def test_an_event_carries_the_time_of_the_frame_that_caused_it() -> None:
    with Harness(SileroVad) as vad:
        for frame, payload, spoken_ns in frames():
            for sent in vad.feed("audio", frame, payload, origin_ns=spoken_ns):
                assert sent.origin_ns == spoken_ns


def test_lost_frames_shift_nothing(heard: list[Any]) -> None:
    with Harness(SileroVad) as vad:
        for n, (frame, payload, _) in enumerate(frames()):
            if n % 50 != 7:
                vad.feed("audio", frame, payload)
        vad.drain()
        ends = [s.body.at for s in vad.sent if isinstance(s.body, SpeechEnded)]
    assert ends == pytest.approx([e.at for e in heard if isinstance(e, SpeechEnded)], abs=RATE_HZ // 10)


def test_no_speech_is_told() -> None:
    with Harness(SileroVad) as vad:
        for start in range(0, 3 * RATE_HZ, 512):
            vad.feed("audio", AudioFrame(RATE_HZ, start), bytes(1024))
        assert vad.drain() == []
        assert vad.warnings == ["no speech was heard in 3.0 s of audio"]


def test_audio_of_another_rate_is_told_once_and_passed_over() -> None:
    with Harness(SileroVad) as vad:
        for start in (0, 512):
            assert vad.feed("audio", AudioFrame(48_000, start), bytes(1024), session="ann") == []
        assert vad.warnings == ["audio of 48000 Hz in session 'ann' is not heard: 16000 Hz is needed"]


def test_speech_still_open_at_the_end_is_ended() -> None:
    with Harness(SileroVad) as vad:
        for frame, payload, _ in frames(tail_s=0):
            if frame.start < int(2 * RATE_HZ):  # in the middle of the first question
                vad.feed("audio", frame, payload)
        assert isinstance(vad.sent[-1].body, SpeechStarted)
        [end] = vad.drain()
        assert isinstance(end.body, SpeechEnded)


def test_a_folder_without_the_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeError) as told:
        Harness(SileroVad, model=str(tmp_path))
    assert str(told.value) == f"no silero_vad_16k_op15.onnx in {tmp_path}: `model` must name a Silero VAD model"


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtra) as told:
        Harness(SileroVad, runtime="torch")
    assert str(told.value) == "SileroVad needs torch, which is not installed: pip install 'voicegraph[torch]'"
