"""What sinks tell of what leaves the loudspeaker: the same sound, at the same time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.node import Outgoing
from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.sink.heard import Stretch
from nodes.sink.speaker import SpeakerSink
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt
from nodes.vad.base import SpeechPaused, SpeechStarted
from tests.nodes.sink.test_file import MS_NS, RATE_HZ, START_NS, Conversation
from tests.nodes.sink.test_speaker import Card

QUIET = 50


def test_a_stretch_is_told_in_frames_that_say_when_they_end() -> None:
    stretch = Stretch("s", 100, bytes(2 * 50), 7_000 * MS_NS)
    told = [(frame.start, len(payload) // 2, end_ns // MS_NS) for frame, payload, end_ns in stretch.frames(1000)]
    assert told == [(100, 20, 7020), (120, 20, 7040), (140, 10, 7050)]


def ramp(ms: int, first: int = 1000) -> NDArray[np.int16]:
    """Samples that can be told from each other."""
    return (first + np.arange(RATE_HZ * ms // 1000) % 20_000).astype("<i2")


def laid_out(told: list[Outgoing], samples: int) -> NDArray[np.int16]:
    """The frames where they belong by their count."""
    sound = np.zeros(samples, np.int16)
    for one in told:
        assert isinstance(one.body, AudioFrame)
        assert len(one.payload) <= 2 * RATE_HZ // 50
        part = np.frombuffer(one.payload, "<i2")
        sound[one.body.start : one.body.start + len(part)] = part
    return sound


def heard_by(steps: object) -> list[Outgoing]:
    return [one for one in steps if isinstance(one, Outgoing) and one.port == "heard"]  # type: ignore[attr-defined]


def test_a_speaker_tells_what_the_card_took(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", card)  # type: ignore[arg-type]
    with Harness(SpeakerSink, clock_ns=None, outputs={"heard"}) as speaker:
        card.play(0.05)
        speaker.feed("audio", AudioFrame(RATE_HZ), ramp(500).tobytes(), turn=1)
        speaker.feed("audio", Spoken("Hello.", 12_000), turn=1)
        sound = card.play(0.1)
        assert speaker.node.due_ns, "it will tell by itself"
        told = heard_by(speaker.node.on_due())
        speaker.feed("speech", SpeechStarted(0, 0))
        sound += card.play(0.1)  # softly, then not at all
        speaker.feed("speech", SpeechPaused(0, 100))
        sound += card.play(0.075)
        speaker.feed("interrupt", Interrupt(), turn=2)
        assert speaker.node.due_ns, "also of what was cut"
        sound += card.play(0.1)
        told += heard_by(speaker.node.on_due())
    before = RATE_HZ // 20
    expected = np.concatenate([np.zeros(before, np.int16), np.frombuffer(sound, "<i2")])
    np.testing.assert_array_equal(laid_out(told, len(expected)), expected)
    first, second = told[0], told[1]
    assert (second.origin_ns or 0) - (first.origin_ns or 0) == 20 * MS_NS


def test_nobody_is_told_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Card())  # type: ignore[arg-type]
    with Harness(SpeakerSink, clock_ns=None) as speaker:
        speaker.feed("audio", AudioFrame(RATE_HZ), ramp(500).tobytes(), turn=1)
        assert not speaker.node._queue.telling


class Told(Conversation):
    """A file sink that is asked what it lets hear."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, outputs={"heard"})
        self.told: list[Outgoing] = []
        self.ahead_ms: list[float] = []

    def go(self, until_ms: int) -> None:
        """Time passes, in which the user is quiet."""
        while self.user_samples * 1000 < until_ms * 16_000:
            then_ms = self.user_samples * 1000 / 16_000 + 32
            while self.sink.node.due_ns and self.sink.node.due_ns <= START_NS + then_ms * MS_NS:
                self.sink.clock_ns, self.sink.node.due_ns = self.sink.node.due_ns, 0
                told = heard_by(self.sink.node.on_due())
                self.ahead_ms += [((one.origin_ns or 0) - self.sink.now_ns()) / MS_NS for one in told]
                self.told += told
            self.user(round(then_ms), QUIET)


def test_a_file_tells_what_it_writes(tmp_path: Path) -> None:
    talk = Told(tmp_path / "out")
    talk.go(480)
    talk.sink.feed("audio", AudioFrame(RATE_HZ), ramp(1000).tobytes(), turn=1)
    talk.say("One two three four.", 1000)
    talk.go(960)
    talk.sink.feed("speech", SpeechStarted(0, 0))
    talk.go(1184)
    talk.sink.feed("speech", SpeechPaused(0, 100))  # it goes on where it was
    talk.go(1312)
    talk.sink.feed("speech", SpeechStarted(0, 0))
    talk.go(1600)
    talk.sink.feed("interrupt", Interrupt("speech"), turn=2)
    talk.go(1700)
    talk.sink.feed("audio", AudioFrame(RATE_HZ), ramp(300, 3000).tobytes(), turn=2)
    talk.say("Yes.", 300, turn=2)
    talk.go(4000)
    talk.end()
    written = talk.sound()[:, 1]
    np.testing.assert_array_equal(laid_out(talk.told, len(written)), written)
    assert all(0 < ahead <= 20 for ahead in talk.ahead_ms), "before it is heard, and not long before"
    for one in talk.told:
        assert isinstance(one.body, AudioFrame)
        end = one.body.start + len(one.payload) // 2
        assert one.origin_ns == START_NS + round(end * 1e9 / RATE_HZ)
    assert not talk.sink.node._timelines["default"].telling, "silence is not told"
