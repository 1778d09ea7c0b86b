"""What speech says, for tests of voices: heard by Whisper."""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from faster_whisper import WhisperModel

from graph.models import locate
from graph.testing import Harness, Sent
from nodes.kinds import AudioFrame
from nodes.tts.base import Sentence

WHISPER_HZ = 16_000


def say(voice: Harness[Any], text: str) -> list[Sent]:
    return voice.feed("text", Sentence(text, last=True), turn=1)


def samples(sent: list[Sent]) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.frombuffer(b"".join(s.payload for s in sent if isinstance(s.body, AudioFrame)), "<i2")


def heard(sent: list[Sent]) -> str:
    sample_rate = next(s.body.sample_rate for s in sent)
    audio = soxr.resample(samples(sent).astype(np.float32) / 32768, sample_rate, WHISPER_HZ)
    whisper = WhisperModel(str(locate("whisper-tiny.en")), device="cpu", compute_type="int8", cpu_threads=2)
    segments, _ = whisper.transcribe(audio, language="en", beam_size=1, without_timestamps=True)
    return " ".join(segment.text.strip() for segment in segments)
