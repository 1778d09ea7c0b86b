"""sink.speaker on a card that the test plays; the real PortAudio is met in tests/nodes/test_sound_card.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graph.errors import NodeError
from graph.testing import Harness
from nodes.kinds import AudioFrame, Played
from nodes.sink.speaker import SpeakerSink
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt
from nodes.vad.base import SpeechPaused, SpeechStarted

RATE_HZ = 24_000


class Card:
    """Stands in for sounddevice: a card that takes samples when the test says so."""

    PortAudioError = OSError
    default = SimpleNamespace(device={"input": 0, "output": 1})
    active = True
    refuses = ""

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {"index": 0, "name": "Microphone", "max_output_channels": 0, "default_samplerate": 16_000.0},
            {"index": 1, "name": "Speaker", "max_output_channels": 2, "default_samplerate": 24_000.0},
        ]

    def RawOutputStream(self, *, callback: Callable[..., None], **wanted: Any) -> Card:
        if self.refuses:
            raise OSError(self.refuses)
        self.callback, self.wanted = callback, wanted
        return self

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True

    def play(self, seconds: float) -> bytes:
        """Take so much sound, of which the last sample is heard just now."""
        out = bytearray(2 * round(seconds * RATE_HZ))
        times = SimpleNamespace(currentTime=100.0, outputBufferDacTime=100.0 - seconds)
        self.callback(memoryview(out), len(out) // 2, times, SimpleNamespace(output_underflow=False))
        return bytes(out)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", card)  # type: ignore[arg-type]
    return card


@pytest.fixture
def speaker(card: Card) -> Iterator[Harness[SpeakerSink]]:
    with Harness(SpeakerSink, clock_ns=None) as speaker:
        yield speaker


def speak(speaker: Harness[SpeakerSink], seconds: float, *, level: int = 5000, turn: int = 1) -> None:
    speaker.feed("audio", AudioFrame(RATE_HZ), np.full(round(seconds * RATE_HZ), level, "<i2").tobytes(), turn=turn)


def test_it_opens_the_default_device_at_its_own_rate(card: Card, speaker: Harness[SpeakerSink]) -> None:
    assert (card.wanted["device"], card.wanted["samplerate"], card.wanted["channels"]) == (1, RATE_HZ, 1)
    assert card.started
    speaker.close()
    assert card.closed


def test_a_reply_is_told_when_it_was_heard_and_not_before(card: Card, speaker: Harness[SpeakerSink]) -> None:
    speak(speaker, 0.5)
    speaker.feed("audio", Spoken("Hello.", 12_000, last=True), turn=1)
    assert list(speaker.node.on_due()) == []
    assert speaker.marks == []
    card.play(0.25)
    assert list(speaker.node.on_due()) == []
    assert [m.mark.name for m in speaker.marks] == ["first_audio"]
    card.play(0.5)
    assert [step.body for step in speaker.due()] == [Played("Hello.", 12_000, RATE_HZ)]
    first, last = (marked.mark for marked in speaker.marks)
    assert (last.name, last.fields) == ("played", {"text": "Hello.", "samples": 12_000, "gaps": 0, "gap_ms": 0})
    assert first.at_ns < last.at_ns


def test_what_comes_too_late_leaves_a_gap_that_is_counted(card: Card, speaker: Harness[SpeakerSink]) -> None:
    card.play(0.3)  # before it begins
    speak(speaker, 0.5)
    card.play(0.2)
    speak(speaker, 0.1)
    card.play(0.6)
    speak(speaker, 0.2)
    speaker.feed("speech", SpeechStarted(0, 0))
    card.play(0.7)  # it pauses after 60 ms
    speaker.feed("speech", SpeechPaused(0, 100))
    speak(speaker, 0.1)
    card.play(0.3)
    speaker.feed("audio", Spoken("Hello.", 21_600, last=True), turn=1)
    assert [step.body for step in speaker.due()] == [Played("Hello.", 21_600, RATE_HZ, gaps=1, gap_ms=200)]


def test_an_interruption_drops_the_rest_and_tells_what_was_heard(card: Card, speaker: Harness[SpeakerSink]) -> None:
    speak(speaker, 1.0)
    speaker.feed("audio", Spoken("One two three four.", RATE_HZ), turn=1)
    speak(speaker, 0.25, level=-5000, turn=2)
    card.play(0.5)
    [played] = speaker.feed("interrupt", Interrupt("speech"), turn=2)
    assert (played.turn, played.body) == (1, Played("One two", RATE_HZ // 2, RATE_HZ, interrupted=True))
    assert set(np.frombuffer(card.play(0.25), "<i2")) == {-5000}  # the newer reply follows at once
    assert [marked.mark.name for marked in speaker.marks] == ["first_audio", "played"]


def test_the_reply_is_resampled_to_the_card(card: Card) -> None:
    with Harness(SpeakerSink, clock_ns=None, device="speaker", sample_rate=48_000) as speaker:
        speak(speaker, 1.0)
        speaker.feed("audio", Spoken("Hi.", RATE_HZ, last=True), turn=1)
        assert len(np.flatnonzero(np.frombuffer(card.play(3.0), "<i2"))) == pytest.approx(48_000, abs=100)


def test_what_still_plays_at_the_end_is_heard_to_its_end(card: Card, speaker: Harness[SpeakerSink]) -> None:
    speak(speaker, 0.1)
    card.play(0.2)
    assert [told.body.samples for told in speaker.drain()] == [2_400]


def test_a_reply_steps_back_while_somebody_speaks(card: Card, speaker: Harness[SpeakerSink]) -> None:
    speak(speaker, 0.5)
    speaker.feed("audio", Spoken("Hello.", 12_000, True), turn=1)
    card.play(0.1)
    speaker.feed("speech", SpeechStarted(0, 0))
    heard = np.frombuffer(card.play(0.2), "<i2")
    assert [int(heard[RATE_HZ * ms // 1000]) for ms in (10, 50, 70, 190)] == [1250, 1250, 0, 0]
    assert list(speaker.node.on_due()) == []
    speaker.feed("speech", SpeechPaused(0, 100))
    assert len(np.flatnonzero(np.frombuffer(card.play(1.0), "<i2") == 5000)) == RATE_HZ * 340 // 1000
    assert [one.body.text for one in speaker.due()] == ["Hello."]


def test_a_device_that_goes_is_told(card: Card, speaker: Harness[SpeakerSink]) -> None:
    speak(speaker, 0.5)
    card.active = False
    speaker.feed("audio", Spoken("Hello.", 12_000, True), turn=1)
    with pytest.raises(NodeError) as caught:
        speaker.due()
    assert str(caught.value) == "output device 'Speaker' has stopped: was it unplugged?"


def test_a_device_that_does_not_open_is_told(card: Card) -> None:
    card.refuses = "Invalid sample rate"
    with pytest.raises(NodeError) as caught:
        Harness(SpeakerSink)
    assert str(caught.value) == "cannot open output device 'Speaker' at 24000 Hz: Invalid sample rate"


def test_a_device_that_cannot_play_is_not_offered(card: Card) -> None:
    with pytest.raises(NodeError) as caught:
        Harness(SpeakerSink, device="Microphone")
    assert str(caught.value) == "no output device 'Microphone'; there are: 1 'Speaker'"
