"""Frames: trimmed, resampled, of equal length."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.tts.pcm import LEAD_IN_MS, FrameCutter, Samples


def tone(seconds: float, hz: int) -> Samples:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * hz)) / hz)).astype(np.float32)


def silence(seconds: float, hz: int) -> Samples:
    return np.zeros(int(seconds * hz), np.float32)


def cut(blocks: list[Samples], native_hz: int, sample_rate: int, frame_ms: int = 20, pause_ms: int = 0) -> list[bytes]:
    cutter = FrameCutter(native_hz, sample_rate, frame_ms)
    return [frame for block in blocks for frame in cutter.add(block)] + list(cutter.end(pause_ms))


@pytest.mark.parametrize("native_hz", [16_000, 22_050, 24_000])
@pytest.mark.parametrize("sample_rate", [8_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("frame_ms", [10, 20, 32])
def test_length_and_pitch_survive(native_hz: int, sample_rate: int, frame_ms: int) -> None:
    frames = cut([tone(1, native_hz)], native_hz, sample_rate, frame_ms, pause_ms=250)
    assert {len(f) for f in frames} == {sample_rate * frame_ms // 1000 * 2}
    assert len(b"".join(frames)) / 2 / sample_rate == pytest.approx(1.25, abs=frame_ms / 1000)
    samples = np.frombuffer(b"".join(frames), "<i2")[:sample_rate].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(samples))) * sample_rate / len(samples) == pytest.approx(440, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.5 * 32767, rel=0.05)


def test_the_silence_around_speech_is_left_out_and_that_within_kept() -> None:
    hz = 24_000
    blocks = [silence(0.4, hz), tone(0.3, hz), silence(0.5, hz), tone(0.2, hz), silence(0.7, hz)]
    pcm = b"".join(cut(blocks, hz, hz, pause_ms=100))
    samples = np.frombuffer(pcm, "<i2")
    assert len(samples) / hz == pytest.approx(LEAD_IN_MS / 1000 + 0.3 + 0.5 + 0.2 + 0.1, abs=0.021)
    assert np.flatnonzero(np.abs(samples) > 1000)[0] / hz == pytest.approx(LEAD_IN_MS / 1000, abs=0.002)


@pytest.mark.parametrize("size", [1, 100, 7_000])
def test_the_size_of_blocks_does_not_matter(size: int) -> None:
    hz = 22_050
    sound = np.concatenate([silence(0.1, hz), tone(0.2, hz), silence(0.1, hz), tone(0.1, hz)])
    blocks = [sound[i : i + size] for i in range(0, len(sound), size)]
    one, many = (np.frombuffer(b"".join(cut(b, hz, 24_000)), "<i2").astype(int) for b in ([sound], blocks))
    assert len(one) == len(many)
    assert np.abs(one - many).max() <= 1


@pytest.mark.parametrize("blocks", [[], [silence(1, 24_000)]])
def test_what_cannot_be_heard_is_nothing(blocks: list[Samples]) -> None:
    assert cut(blocks, 24_000, 16_000, pause_ms=250) == []


def test_frames_leave_as_soon_as_they_are_full() -> None:
    cutter = FrameCutter(24_000, 24_000, 20)
    assert len(list(cutter.add(tone(0.11, 24_000)))) == 5


def test_what_is_too_loud_is_clipped() -> None:
    (frame,) = cut([np.full(480, 3, np.float32)], 24_000, 24_000)
    assert np.frombuffer(frame, "<i2").tolist() == [32767] * 480
