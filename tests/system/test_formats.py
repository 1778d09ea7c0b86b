"""The three questions arrive right from any kind of audio file, through `examples/transcribe.yaml`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from graph.scenarios.word_error import total, word_error

from .graphs import ROOT, graph_run

QUESTIONS = (ROOT / "examples/audio/questions.txt").read_text().splitlines()

# name: (sample rate in Hz, channels, soundfile's subtype)
FORMATS = {
    "8khz-mono-u8.wav": (8_000, 1, "PCM_U8"),
    "44khz-stereo-24bit.wav": (44_100, 2, "PCM_24"),
    "48khz.flac": (48_000, 1, "PCM_16"),
    "44khz-stereo.ogg": (44_100, 2, "VORBIS"),
    "24khz.mp3": (24_000, 1, "MPEG_LAYER_III"),
}


def write(file: Path, rate_hz: int, channels: int, subtype: str) -> None:
    sound, recorded_hz = soundfile.read(ROOT / "examples/audio/questions.wav", dtype="float32")
    resampled = soxr.resample(sound, recorded_hz, rate_hz)
    # Two channels that differ: what is heard must be both of them, not the first.
    both = np.stack([resampled * 1.2, resampled * 0.8], axis=1) if channels == 2 else resampled
    soundfile.write(file, both, rate_hz, subtype=subtype)


@pytest.mark.models
@pytest.mark.parametrize("name", FORMATS)
def test_the_questions_arrive_right(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, *FORMATS[name])
    overlay = ("-o", f"nodes.capture.with.path={tmp_path / name}")
    with graph_run(tmp_path, ROOT / "examples/transcribe.yaml", *overlay) as run:
        assert run.wait() == 0, run.stderr
        heard = [turn["marks"]["transcript"]["text"] for turn in run.report["turns"]]
        assert len(heard) == 3, heard
        assert total(map(word_error, QUESTIONS, heard)).errors <= 1, heard
        assert all(text in run.stdout for text in heard)
