from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

AUDIO = Path(__file__).parents[3] / "examples" / "audio"
RATE_HZ = 16_000
Samples: TypeAlias = NDArray[np.float32]


def pcm(samples: Samples) -> bytes:
    return np.clip(samples * 32768, -32768, 32767).astype("<i2").tobytes()


def stretches(samples: Samples, pause_s: float = 1.2) -> Iterator[tuple[int, Samples]]:
    """The parts between long pauses, each with its first sample's index, as a turn detector would cut them."""
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    gaps = np.flatnonzero(np.diff(loud) > pause_s * RATE_HZ)
    bounds = itertools.pairwise([-1, *gaps, len(loud) - 1])
    for first, last in ((loud[a + 1], loud[b]) for a, b in bounds):
        start = max(0, first - RATE_HZ // 5)
        yield start, samples[start : last + RATE_HZ // 10]


@pytest.fixture(scope="module")
def recording() -> Samples:
    samples, rate = soundfile.read(AUDIO / "questions.wav", dtype="float32")
    assert rate == RATE_HZ
    return samples


@pytest.fixture(scope="module")
def questions() -> list[str]:
    return (AUDIO / "questions.txt").read_text().splitlines()
