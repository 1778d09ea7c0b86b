"""A room made of numbers: a loudspeaker, a microphone, walls; and the frames by which a node is told of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.vad.base import SpeechStarted
from nodes.vad.silero import SileroVad

Sound: TypeAlias = NDArray[np.float32]

RATE_HZ = 16_000
CARD_HZ = 24_000
AUDIO = Path(__file__).parents[3] / "examples/audio"
STARTED_NS = 5_000_000_000  # when the microphone's first sample is spoken


def questions() -> list[Sound]:
    """What is asked in the example recording, three voices, without the silence around it."""
    sound, _ = soundfile.read(AUDIO / "questions.wav", dtype="float32")
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > 2 * RATE_HZ) + 1)
    return [sound[part[0] : part[-1] + 1] for part in parts]


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def echo(reply: Sound, level_db: float, delay_ms: float, reverberation_s: float = 0.25) -> Sound:
    """What comes back of the loudspeaker: the direct sound, and a tail of noise that falls by 60 dB in so many seconds."""
    count = round(reverberation_s * RATE_HZ)
    tail = np.random.default_rng(1).standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[:32] = 0
    response = tail / np.sqrt(np.sum(tail**2)) * 10 ** (-3 / 20)  # the direct sound is 3 dB above all of it
    response[0] = 1
    response *= 10 ** (level_db / 20) / np.sqrt(np.sum(response**2))
    late = np.concatenate([np.zeros(round(delay_ms * RATE_HZ / 1000)), reply])[: len(reply)]
    return np.convolve(late, response)[: len(reply)].astype(np.float32)


def microphone(*sounds: Sound) -> Sound:
    """All of it at once, in a quiet room (-70 dBFS of noise)."""
    noise = np.random.default_rng(2).standard_normal(len(sounds[0])) * 3e-4
    mixed: Sound = np.sum([*sounds, noise], axis=0).astype(np.float32)
    return mixed


def s16(sound: Sound) -> bytes:
    return np.clip(np.rint(sound * 32_768), -32_768, 32_767).astype("<i2").tobytes()


def told(reply: Sound, jitter_ms: float = 2.0) -> Iterator[tuple[AudioFrame, bytes, int]]:
    """The frames of a sound card of 24 kHz: 20 ms each, silence left out, their stamps a little wrong."""
    sound = soxr.resample(reply, RATE_HZ, CARD_HZ)
    length = CARD_HZ // 50
    wrong = np.random.default_rng(3)
    for start in range(0, len(sound) - length + 1, length):
        if np.any(frame := sound[start : start + length]):
            end_ns = STARTED_NS + round((start + length) * 1e9 / CARD_HZ + wrong.uniform(-jitter_ms, jitter_ms) * 1e6)
            yield AudioFrame(CARD_HZ, start), s16(frame), end_ns


def through(node: Harness[Any], heard: Sound, reply: Sound, frame_ms: int = 32) -> NDArray[np.int16]:
    """What a node lets through of what the microphone hears; a frame of the loudspeaker is told 10 ms before it ends."""
    played = list(told(reply))
    length = RATE_HZ * frame_ms // 1000
    for start in range(0, len(heard) - length + 1, length):
        end_ns = STARTED_NS + round((start + length) * 1e9 / RATE_HZ)
        while played and played[0][2] <= end_ns + 10_000_000:
            frame, payload, heard_ns = played.pop(0)
            node.feed("heard", frame, payload, origin_ns=heard_ns)
        node.clock_ns = end_ns
        node.feed("audio", AudioFrame(RATE_HZ, start), s16(heard[start : start + length]), origin_ns=end_ns)
    node.drain()
    return np.frombuffer(b"".join(one.payload for one in node.sent), "<i2")


def speech(sound: NDArray[np.int16]) -> list[float]:
    """Where the VAD hears speech begin, in seconds."""
    found = []
    with Harness(SileroVad) as vad:
        for start in range(0, len(sound) - 511, 512):
            sent = vad.feed("audio", AudioFrame(RATE_HZ, start), sound[start : start + 512].tobytes())
            found += [one.body.at / RATE_HZ for one in sent if isinstance(one.body, SpeechStarted)]
    return found
