"""A room in which the microphone hears the loudspeaker, and an assistant that answers with speech."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from graph.message import Message
from graph.node import Input, Node, NodeConfig, Output, Step, Until
from nodes.kinds import AudioFrame
from nodes.pcm import Resampler, from_payload, to_float, to_s16
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt, Utterance

RATE_HZ = 16_000
CARD_HZ = 24_000
WORD_S = 0.5
REVERBERATION_S = 0.25  # in which the tail falls by 60 dB


class RoomConfig(NodeConfig):
    level_db: float = -12  # of the echo, the reply's loudness being 0
    delay_ms: float = 60  # from the loudspeaker to the microphone; more than `heard` is late and its resampling holds back


class Room(Node):
    """What the user says, and what the sink lets hear, a little later and softer, from all walls."""

    Config = RoomConfig
    config: RoomConfig
    audio = Input(AudioFrame)
    heard = Input(AudioFrame)
    mixed = Output(AudioFrame)

    def setup(self) -> None:
        count = round(REVERBERATION_S * RATE_HZ)
        response = np.random.default_rng(1).standard_normal(count) * 10 ** (-3 * np.arange(count) / count) / 25
        response[0] = 1
        self._response = response * 10 ** (self.config.level_db / 20) / np.sqrt(np.sum(response**2))
        self._played: NDArray[np.float32] = np.zeros(0, np.float32)
        self._resampler = Resampler(CARD_HZ, RATE_HZ)
        self._expected = self._first_ns = 0

    def on_heard(self, message: Message[AudioFrame]) -> None:
        sound, start = to_float(from_payload(message.payload)), message.body.start
        if not self._first_ns:
            self._first_ns = message.origin_ns - round(len(sound) * 1e9 / CARD_HZ)
            self._expected = start
        sound = np.concatenate([np.zeros(start - self._expected, np.float32), sound])
        self._expected += len(sound)
        self._played = np.concatenate([self._played, self._resampler.push(sound)])

    def on_audio(self, message: Message[AudioFrame]) -> Iterator[Step]:
        spoken = to_float(from_payload(message.payload))
        ended_ns = message.origin_ns - round(self.config.delay_ms * 1e6)
        end = round((ended_ns - self._first_ns) * RATE_HZ / 1e9) if self._first_ns else 0
        indexes = np.arange(end - len(spoken) - len(self._response) + 1, end)
        known = (indexes >= 0) & (indexes < len(self._played))
        played = np.zeros(len(indexes))
        played[known] = self._played[indexes[known]]
        yield self.mixed(
            message.body, to_s16((spoken + np.convolve(played, self._response, "valid")).astype(np.float32)).tobytes()
        )


class SpeakerConfig(NodeConfig):
    path: Path  # what it says, whatever it is asked


class Speaker(Node):
    """Answers every utterance with the same speech, half a second a word."""

    Config = SpeakerConfig
    config: SpeakerConfig
    speech = Input(Utterance)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    audio = Output(AudioFrame, Spoken)

    def setup(self) -> None:
        sound, rate = soundfile.read(self.config.path, dtype="float32")
        said = to_s16(soxr.resample(sound, rate, CARD_HZ))
        word = round(CARD_HZ * WORD_S)
        self._words = [said[at : at + word].tobytes() for at in range(0, len(said) - word + 1, word)]

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        yield Until(self.runtime.now_ns() + 100_000_000)
        start = 0
        for number, word in enumerate(self._words):
            for at in range(0, len(word), CARD_HZ // 25):  # 20 ms
                payload = word[at : at + CARD_HZ // 25]
                yield self.audio(AudioFrame(CARD_HZ, start), payload)
                start += len(payload) // 2
            yield self.audio(Spoken(f"word{number}", len(word) // 2, last=number == len(self._words) - 1))
