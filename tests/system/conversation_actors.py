"""Who takes part in a conversation under test: a user who talks when told to, a language model that only remembers, and one
who writes down what happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import soundfile

from graph.message import Mark, Message, now_ns
from graph.node import Input, NodeConfig, Step, Until
from nodes.capture.base import SAMPLE_RATE_HZ, CaptureNode
from nodes.kinds import AudioFrame
from nodes.llm.chat import ChatNode
from nodes.llm.completion import Completion
from nodes.llm.history import ChatMessage
from nodes.metrics.base import MetricsNode
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

FRAME_SAMPLES = SAMPLE_RATE_HZ * 32 // 1000
LOUD = 0.005  # of full scale: above the noise floor of the recording
BREATH_FRAMES = 15  # before the end of a question: when it is decided whether another follows
FIRST_ASKED = "First you asked me this:"
PAUSE_SAMPLES = SAMPLE_RATE_HZ  # between two questions; within one they are much shorter


def questions(path: Path) -> list[bytes]:
    """What is said in a recording, pause by pause, without the pauses; in whole frames."""
    sound, _ = soundfile.read(path, dtype="int16")
    loud = np.flatnonzero(np.abs(sound) > LOUD * 32_768)
    spoken = np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE_SAMPLES) + 1)
    cut = [sound[one[0] : one[-1] + 1] for one in spoken]
    return [np.pad(one, (0, -len(one) % FRAME_SAMPLES)).astype("<i2").tobytes() for one in cut]


class UserConfig(NodeConfig):
    path: Path  # a recording of questions
    orders: Path  # words: the number of a question to be asked; "on": talk, question by question, until "off"; "end"


class User(CaptureNode):
    """Speaks in real time what it is told to, and is silent else; writes the numbers of the questions beside the orders."""

    Config = UserConfig
    config: UserConfig

    def setup(self) -> None:
        self._questions = questions(self.config.path)
        self._said = self.config.orders.with_suffix(".said").open("w", buffering=1)

    def run(self) -> Iterator[Step]:
        began_ns = self.runtime.now_ns()
        for index, payload in enumerate(self._frames()):
            spoken_ns = began_ns + (index + 1) * 32_000_000
            yield Until(spoken_ns)
            yield self.audio(AudioFrame(SAMPLE_RATE_HZ, index * FRAME_SAMPLES), payload, origin_ns=spoken_ns)

    def _frames(self) -> Iterator[bytes]:
        done = said = 0
        while True:
            order = next(iter(self._orders()[done:]), "")
            if order == "end":
                return
            if not order:
                yield bytes(2 * FRAME_SAMPLES)
            elif order == "off":
                done += 1
            else:
                talk = order == "on"
                sound = self._sound(said % len(self._questions) if talk else int(order))
                yield from sound[:-BREATH_FRAMES]
                done += not talk or len(self._orders()) > done + 1
                yield from sound[-BREATH_FRAMES:]
                said += 1

    def _orders(self) -> list[str]:
        return self.config.orders.read_text().split()

    def _sound(self, question: int) -> list[bytes]:
        print(question, file=self._said)
        sound = self._questions[question]
        return [sound[at : at + 2 * FRAME_SAMPLES] for at in range(0, len(sound), 2 * FRAME_SAMPLES)]

    def close(self) -> None:
        self._said.close()


class Remembering(ChatNode):
    """Another engine than llama.cpp: it only says what it was asked first."""

    def load(self, path: Path) -> None:
        """It has no model."""

    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        first = next(one["content"] for one in messages if one["role"] == "user")
        text = f"{FIRST_ASKED} {first}"
        completion.put({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]})


class WitnessConfig(NodeConfig):
    file: Path


class Witness(MetricsNode):
    """Writes down at once each mark, and when the user is heard to begin to speak: lines of JSON."""

    Config = WitnessConfig
    config: WitnessConfig
    speech = Input(SpeechStarted, SpeechPaused, SpeechEnded)

    _file: TextIO

    def setup(self) -> None:
        self._file = self.config.file.open("w", buffering=1)

    def on_marks(self, message: Message[Mark]) -> None:
        mark = message.body
        assert message.header is not None
        self._write(
            mark.name, mark.at_ns, turn=message.turn, revision=message.revision, by=message.header.instance, **mark.fields
        )

    def on_speech(self, message: Message[SpeechStarted | SpeechPaused | SpeechEnded]) -> None:
        self._write(message.body.kind, now_ns())

    def close(self) -> None:
        self._file.close()

    def _write(self, what: str, at_ns: int, **more: object) -> None:
        print(json.dumps({"what": what, "at_ns": at_ns, **more}), file=self._file)
