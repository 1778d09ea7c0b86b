"""The loudspeaker's sound on the microphone's grid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nodes.echo.clock import SampleClock
from nodes.echo.hush import Hush
from nodes.echo.reference import KEPT, Reference

MS_NS = 1_000_000
TONE_HZ = 500


def tone(rate: int, start: int, count: int) -> bytes:
    return (8_000 * np.sin(2 * np.pi * TONE_HZ * np.arange(start, start + count) / rate)).astype("<i2").tobytes()


def expected(start: int, count: int) -> NDArray[np.int16]:
    return np.frombuffer(tone(16_000, start, count), "<i2")


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000])
def test_any_rate_lies_on_the_same_grid_also_behind_a_silence(rate: int) -> None:
    reference = Reference(rate, rate)
    length = rate // 50
    for start in (*range(rate, 2 * rate, length), *range(2 * rate + 7_777, 3 * rate, length)):
        reference.add(tone(rate, start, length), start, 0)
    at = (2 * rate + 7_777) * 16_000 // rate
    for start in (16_500, at + 500):
        np.testing.assert_allclose(reference.read(start, 3_000), expected(start, 3_000), atol=120)
    assert not reference.read(at - 1_000, 980).any(), "what was not told is silence"
    assert reference.end - (2 * rate + 7_777 + (rate - 7_777) // length * length) * 16_000 / rate > -50, "little is held back"


def test_what_is_not_known_is_silence() -> None:
    reference = Reference(16_000, 1_000)
    reference.add(tone(16_000, 1_000, 320), 1_000, 0)
    assert not reference.read(0, 1_000).any()
    assert not reference.read(1_320, 10).any()
    assert reference.read(1_000, 320).any()
    reference.add(tone(16_000, KEPT + 2_000, 320), KEPT + 2_000, 0)
    assert not reference.read(1_000, KEPT).any(), "nor what is long ago"


def test_it_knows_when_another_source_begins() -> None:
    reference = Reference(24_000, 480)
    reference.add(bytes(960), 480, 0)
    assert reference.goes_on_with(24_000, 960)
    assert reference.goes_on_with(24_000, 90_000)
    assert not reference.goes_on_with(24_000, 0)
    assert not reference.goes_on_with(48_000, 960)


def test_stamps_that_jitter_move_no_clock() -> None:
    clock = SampleClock(1_000)
    assert clock.zero_ns is None
    for frame in range(40):
        late_ms = 30 if frame % 5 == 4 else 0
        clock.hear(20 * (frame + 1), (100 + 20 * (frame + 1) + late_ms) * MS_NS)
        assert clock.zero_ns == 100 * MS_NS


@pytest.mark.parametrize("length", [1, 3, 4, 7, 20])
def test_it_is_hushed_from_the_first_sound_to_the_end_of_the_tail(length: int) -> None:
    far = np.array([0, 0, 500, 0, 0, 0, 0, 0, -500, 0, 0, -32_768, 0, 0, 0, 0, 0, 200, 0, 0], np.int16)
    hush = Hush(3)
    hushed = np.concatenate([hush.over(far[at : at + length]) for at in range(0, len(far), length)])
    assert "".join(".#"[int(one)] for one in hushed) == "..####..#######....."
