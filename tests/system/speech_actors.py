"""In the place of models: a reply that takes a known time to be made, and lasts a known time."""

from __future__ import annotations

from collections.abc import Iterator

from graph.message import Message
from graph.node import Input, Node, NodeConfig, Output, Step, Until
from nodes.kinds import AudioFrame
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt, Utterance

RATE_HZ = 24_000
TONE = b"\x00\x10" * (RATE_HZ // 50)  # 20 ms


class AnswerConfig(NodeConfig):
    takes_ms: int = 100
    words: int = 10  # half a second each


class Answer(Node):
    """Answers every utterance with some words, and tells how long it was."""

    Config = AnswerConfig
    config: AnswerConfig
    speech = Input(Utterance)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    audio = Output(AudioFrame, Spoken)

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        yield Until(self.runtime.now_ns() + self.config.takes_ms * 1_000_000)
        self.mark("utterance", ms=len(message.payload) // 32)
        for word in range(self.config.words):
            for frame in range(25):
                yield self.audio(AudioFrame(RATE_HZ, (25 * word + frame) * RATE_HZ // 50), TONE)
            yield self.audio(Spoken(f"word{word}", RATE_HZ // 2, last=word == self.config.words - 1))
