"""Texts as speech: made once by Kokoro and kept as Ogg files, so that a scenario hears the same samples on every machine."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from graph.errors import NodeError
from graph.models import locate
from nodes.speech_audio import SAMPLE_RATE_HZ

MODEL = "kokoro-82m"
PEAK = 0.6  # of full scale, about -4.4 dBFS: speech close to a microphone
LOUD = 0.01  # of full scale: the silence before and after is left out
NAME_LETTERS = 48


def file_of(text: str, voice: str, folder: Path) -> Path:
    """Where a spoken text is kept: a name that can be read, and a sum that tells texts apart."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:NAME_LETTERS].rstrip("-")
    return folder / f"{slug}.{voice}.{hashlib.sha256(text.encode()).hexdigest()[:6]}.ogg"


def spoken(text: str, voice: str, folder: Path) -> NDArray[np.float32]:
    """A text as 16 kHz samples, -1 to 1, shape [n]; made if it is not in the folder.

    :raises VoicegraphError: it is not there and cannot be made, or not be kept.
    """
    file = file_of(text, voice, folder)
    if not file.exists():
        _keep(_synthesised(text, voice), file)
    samples: NDArray[np.float32] = soundfile.read(file, dtype="float32")[0]
    return samples


def _keep(samples: NDArray[np.float32], file: Path) -> None:
    half = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(half, samples, SAMPLE_RATE_HZ, format="OGG", subtype="VORBIS")
        half.rename(file)
    except OSError as error:
        raise NodeError(f"cannot keep the spoken text {file}: {error.strerror}") from error


def _synthesised(text: str, voice: str) -> NDArray[np.float32]:
    try:
        from nodes.tts.kokoro import LANGUAGES
        from nodes.tts.kokoro_onnx import OnnxKokoro
        from nodes.tts.kokoro_voice import KokoroVoice
    except ImportError as error:
        raise NodeError(f"to speak a new text the user needs {error.name}: pip install 'voicegraph[tts]'") from error
    kokoro = KokoroVoice(OnnxKokoro(locate(MODEL), voice, threads=2, device="cpu"), LANGUAGES.get(voice[:1], "en-us"), 1.0)
    sound = soxr.resample(np.concatenate(list(kokoro.synthesise(text))), kokoro.sample_rate, SAMPLE_RATE_HZ)
    loud = np.flatnonzero(np.abs(sound) > LOUD)
    if not len(loud):
        raise NodeError(f"voice '{voice}' makes no sound of '{text}'")
    spoken: NDArray[np.float32] = sound[loud[0] : loud[-1] + 1]
    return spoken * np.float32(PEAK / np.abs(spoken).max())
