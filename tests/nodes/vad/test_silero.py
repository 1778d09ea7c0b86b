from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from graph.errors import MissingExtra, NodeError
from graph.models import locate
from graph.testing import Harness, Sent
from nodes.kinds import AudioFrame
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted, VoiceHeard, VoiceLost
from nodes.vad.silero import SESSIONS_REMEMBERED, SileroConfig, SileroVad
from tests.nodes.recording import RATE_HZ, frames

pytestmark = pytest.mark.models


def speech(vad: Harness[SileroVad]) -> list[Sent]:
    """What was sent of speech."""
    return [sent for sent in vad.sent if sent.port == "speech"]


def events(samples: int = 512, **config: Any) -> list[Any]:
    with Harness(SileroVad, **config) as vad:
        for frame, payload, spoken_ns in frames(samples):
            vad.feed("audio", frame, payload, origin_ns=spoken_ns)
        vad.drain()
        return [sent.body for sent in speech(vad)]


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


def test_voice_is_told_of_before_it_is_known_to_be_speech() -> None:
    with Harness(SileroVad) as vad:
        begun, suspected = 0, False
        for frame, payload, spoken_ns in frames(512):
            for sent in vad.feed("audio", frame, payload, origin_ns=spoken_ns):
                if isinstance(sent.body, SpeechStarted):
                    begun += suspected
                suspected = isinstance(sent.body, VoiceHeard) or (suspected and sent.port == "speech")
        assert begun >= 3


def test_what_is_no_speech_is_taken_back() -> None:
    with Harness(SileroVad, min_speech_ms=2000) as vad:  # so nothing is
        sound = b"".join(payload for _, payload, _ in frames(512))[: 2 * RATE_HZ * 8]
        for at in range(0, len(sound), 1024):
            vad.feed("audio", AudioFrame(RATE_HZ, at // 2), sound[at : at + 1024])
        vad.drain()
        told = [type(sent.body) for sent in vad.sent if sent.port == "voice"]
    assert told
    assert told == [VoiceHeard, VoiceLost] * (len(told) // 2)


def test_pauses_are_told_while_they_last(heard: list[Any]) -> None:
    pauses = [e for e in heard if isinstance(e, SpeechPaused)]
    assert [e.silence_ms for e in pauses if e.at == pauses[-1].at][:3] == [32, 64, 96]


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
        assert [s.body for s in speech(vad) if s.session == "ann"] == heard


def test_an_event_carries_the_time_of_the_frame_that_caused_it() -> None:
    with Harness(SileroVad) as vad:
        for frame, payload, spoken_ns in frames():
            for sent in vad.feed("audio", frame, payload, origin_ns=spoken_ns):
                assert sent.origin_ns == spoken_ns


def windows_heard(vad: Harness[SileroVad], starts: Iterable[int]) -> None:
    """Feed the frames of the recording that begin at these samples."""
    by_start = {frame.start: (frame, payload, spoken_ns) for frame, payload, spoken_ns in frames()}
    for start in starts:
        frame, payload, spoken_ns = by_start[start]
        vad.feed("audio", frame, payload, origin_ns=spoken_ns)


def test_lost_frames_are_counted() -> None:
    with Harness(SileroVad) as vad:
        windows_heard(vad, [n * 512 for n in range(100) if n not in (50, 51, 60)])
        vad.drain()
        assert vad.warnings == ["audio of session 'default' had 2 gaps: 96 ms never came"]


def test_who_begins_to_listen_late_ends_what_another_may_have_left_open() -> None:
    with Harness(SileroVad) as vad:
        start = 64 * 512
        windows_heard(vad, [start])
        assert [s.body for s in speech(vad)] == [SpeechEnded(start, 0)]
        windows_heard(vad, range(start + 512, start + 20 * RATE_HZ, 512))
        assert isinstance(speech(vad)[1].body, SpeechStarted)
        vad.drain()
        assert vad.warnings == [], "it has lost nothing"


@pytest.mark.parametrize("jump", ["ahead", "back"])
def test_open_speech_ends_where_the_count_of_samples_jumps(heard: list[Any], jump: str) -> None:
    begun = next(e for e in heard if isinstance(e, SpeechStarted))
    cut = (begun.at + RATE_HZ) // 512 * 512  # in the middle of the first question
    again = cut + 64 * 512 if jump == "ahead" else 0
    with Harness(SileroVad) as vad:
        windows_heard(vad, range(0, cut, 512))
        assert [s.body for s in speech(vad)] == [begun]
        windows_heard(vad, [again])
        assert speech(vad)[-1].body == SpeechEnded(cut, 0)
        windows_heard(vad, range(again + 512, again + 20 * RATE_HZ, 512))
        assert any(isinstance(s.body, SpeechStarted) for s in speech(vad)[2:]), "what comes then is heard like any other"


def test_lost_frames_shift_nothing(heard: list[Any]) -> None:
    with Harness(SileroVad) as vad:
        for n, (frame, payload, _) in enumerate(frames()):
            if n % 50 != 7:
                vad.feed("audio", frame, payload)
        vad.drain()
        ends = [s.body.at for s in speech(vad) if isinstance(s.body, SpeechEnded)]
    assert ends == pytest.approx([e.at for e in heard if isinstance(e, SpeechEnded)], abs=RATE_HZ // 10)


def test_no_speech_is_told() -> None:
    with Harness(SileroVad) as vad:
        for start in range(0, 3 * RATE_HZ, 512):
            vad.feed("audio", AudioFrame(RATE_HZ, start), bytes(1024))
        assert vad.drain() == []
        assert vad.warnings == ["no speech was heard in 3.0 s of audio"]


@pytest.mark.parametrize(
    ("rate_hz", "payload", "why"),
    [(48_000, bytes(1024), "it is of 48000 Hz, 16000 Hz are needed"), (RATE_HZ, bytes(3), "3 bytes are no s16 samples")],
)
def test_audio_that_cannot_be_heard_is_told_once_and_passed_over(
    heard: list[Any], rate_hz: int, payload: bytes, why: str
) -> None:
    with Harness(SileroVad) as vad:
        for frame, good, _ in frames():
            assert vad.feed("audio", AudioFrame(rate_hz, frame.start), payload, session="ann") == []
            vad.feed("audio", frame, good, session="bob")
        vad.drain()
        assert vad.warnings == [f"audio of session 'ann' is not heard: {why}"]
        assert [s.body for s in speech(vad) if s.session == "bob"] == heard


def test_of_too_many_sessions_the_one_unheard_of_for_longest_is_ended(heard: list[Any]) -> None:
    begun = next(e for e in heard if isinstance(e, SpeechStarted))
    with Harness(SileroVad) as vad:
        windows_heard(vad, range(0, begun.at + RATE_HZ, 512))
        assert [s.body for s in speech(vad)] == [begun]
        for n in range(SESSIONS_REMEMBERED):
            assert speech(vad)[1:] == []
            vad.feed("audio", AudioFrame(RATE_HZ, 0), b"", session=f"other {n}")
        [ended] = speech(vad)[1:]
        assert isinstance(ended.body, SpeechEnded)
        assert ended.session == "default"


def test_speech_still_open_at_the_end_is_ended() -> None:
    with Harness(SileroVad) as vad:
        for frame, payload, spoken_ns in frames(tail_s=0):
            if frame.start < int(2 * RATE_HZ):  # in the middle of the first question
                vad.feed("audio", frame, payload, session="ann", origin_ns=spoken_ns)
                last_ns = spoken_ns
        assert isinstance(speech(vad)[-1].body, SpeechStarted)
        [end] = vad.drain()
        assert isinstance(end.body, SpeechEnded)
        assert (end.session, end.origin_ns) == ("ann", last_ns)


def test_a_folder_without_the_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeError) as told:
        Harness(SileroVad, model=str(tmp_path))
    assert str(told.value) == f"{tmp_path} should hold one .onnx file, and holds none"


@pytest.mark.parametrize(("runtime", "suffix"), [("onnx", ".onnx"), ("torch", ".jit")])
def test_a_file_that_is_no_model_is_told(tmp_path: Path, runtime: str, suffix: str) -> None:
    if runtime == "torch":
        pytest.importorskip("torch", reason="the extra 'torch' is not installed")
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(b"broken")
    with pytest.raises(NodeError) as told:
        Harness(SileroVad, model=str(file), runtime=runtime)
    assert str(told.value).startswith(f"{file} cannot be loaded as ")


def test_the_model_may_be_a_file(heard: list[Any]) -> None:
    assert events(model=str(next(locate("silero-vad").glob("*.onnx")))) == heard


def test_the_thresholds_are_in_order() -> None:
    with pytest.raises(ValidationError, match=r"neg_threshold \(0.6\) is above threshold \(0.5\)"):
        SileroConfig(neg_threshold=0.6)


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra) as told:
        Harness(SileroVad, runtime="torch")
    assert str(told.value) == "SileroVad needs torch, which is not installed: pip install 'voicegraph[torch]'"
