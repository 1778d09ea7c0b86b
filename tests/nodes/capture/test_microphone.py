"""capture.microphone on a card that the test plays; the real PortAudio is met in tests/nodes/test_sound_card.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graph.errors import NodeError
from graph.node import Outgoing, Until
from graph.testing import Harness
from nodes.capture.microphone import MicrophoneCapture

RATE_HZ = 48_000
MS_NS = 1_000_000


class Card:
    """Stands in for sounddevice: a card that records what the test says."""

    PortAudioError = OSError
    default = SimpleNamespace(device={"input": 2, "output": -1})
    active = True

    def query_devices(self) -> list[dict[str, Any]]:
        return [{"index": 2, "name": "Headset", "max_input_channels": 1, "default_samplerate": float(RATE_HZ)}]

    def RawInputStream(self, *, callback: Callable[..., None], **wanted: Any) -> Card:
        if wanted["samplerate"] != RATE_HZ:
            raise OSError("Invalid sample rate")
        self.callback, self.wanted = callback, wanted
        return self

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...

    def record(self, samples: np.ndarray[Any, Any]) -> None:
        """A block whose last sample was spoken just now."""
        times = SimpleNamespace(currentTime=100.0, inputBufferAdcTime=100.0 - len(samples) / RATE_HZ)
        self.callback(samples.astype("<i2").tobytes(), len(samples), times, SimpleNamespace(input_overflow=False))


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", card)  # type: ignore[arg-type]
    return card


def test_blocks_become_frames_with_the_time_they_were_spoken(card: Card) -> None:
    tone = 8_000 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    with Harness(MicrophoneCapture, clock_ns=None, frame_ms=20, session="anna") as microphone:
        assert (card.wanted["device"], card.wanted["blocksize"]) == (2, RATE_HZ * 20 // 1000)
        for block in np.split(tone, 50):
            card.record(block)
        last_ns = microphone.now_ns()
        microphone.node.stop()
        frames = microphone.run()
    assert {(len(f.payload), f.session) for f in frames} == {(640, "anna")}
    assert [f.body.start for f in frames] == [320 * k for k in range(len(frames))]
    heard = np.frombuffer(b"".join(f.payload for f in frames), "<i2")
    wanted = 8_000 * np.sin(2 * np.pi * 440 * np.arange(len(heard)) / 16_000)
    assert len(heard) >= 15_000
    assert np.abs(heard - wanted)[200:].max() < 20
    # the resampler holds back a little: a frame ends before the block that completed it
    assert all(frame.origin_ns < last_ns for frame in frames)


def test_it_waits_a_little_while_there_is_nothing(card: Card) -> None:
    with Harness(MicrophoneCapture, clock_ns=0) as microphone:
        steps = microphone.node.run()
        assert next(steps) == Until(4 * MS_NS)
        card.record(np.zeros(RATE_HZ // 10))
        assert isinstance(next(steps), Outgoing)


def test_lost_sound_is_counted_and_told(card: Card) -> None:
    with Harness(MicrophoneCapture, buffer_ms=100, frame_ms=20) as microphone:
        for _ in range(7):
            card.record(np.zeros(960))
        microphone.node.stop()
        microphone.run()
    assert microphone.warnings == ["input device 'Headset': sound was lost 2 times so far"]


def test_a_device_that_goes_is_told(card: Card) -> None:
    with Harness(MicrophoneCapture) as microphone:
        card.active = False
        with pytest.raises(NodeError) as caught:
            microphone.run()
    assert str(caught.value) == "input device 'Headset' has stopped: was it unplugged?"


def test_a_device_that_does_not_open_is_told(card: Card) -> None:
    with pytest.raises(NodeError) as caught:
        Harness(MicrophoneCapture, sample_rate=12_345)
    assert str(caught.value) == "cannot open input device 'Headset' at 12345 Hz: Invalid sample rate"
