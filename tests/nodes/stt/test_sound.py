from __future__ import annotations

import numpy as np
import pytest

from nodes.stt.sound import SILENCE, Sound, sound_in

RATE_HZ = 16_000


def tone(seconds: float, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def test_finds_the_sound_between_silences_and_leaves_out_the_pause() -> None:
    samples = np.concatenate([silence(0.2), tone(0.5), silence(1), tone(0.3), silence(0.1)])
    assert sound_in(samples, RATE_HZ) == Sound(start_ms=200, end_ms=2000, seconds=0.8)


@pytest.mark.parametrize("level", [0.9, 0.01, 0.003])
def test_is_relative_to_the_loudest(level: float) -> None:
    samples = np.concatenate([tone(0.4, level / 100), tone(0.4, level), tone(0.4, level / 10)])
    assert sound_in(samples, RATE_HZ) == Sound(start_ms=400, end_ms=1200, seconds=0.8)


@pytest.mark.parametrize(
    "samples", [silence(0), silence(0.01), silence(2), tone(2, 1e-5)], ids=["none", "short", "zeros", "faint"]
)
def test_silence_has_none(samples: np.ndarray) -> None:
    assert sound_in(samples, RATE_HZ) == SILENCE
