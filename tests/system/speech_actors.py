"""In the place of models: a reply that takes a known time to be made, and lasts a known time."""

from __future__ import annotations

from collections.abc import Iterator

from graph.message import Message
from graph.node import Input, Node, NodeConfig, Output, Step, Until
from nodes.kinds import AudioFrame, TranscriptFinal
from nodes.stt.base import SttNode
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt, Utterance

RATE_HZ = 24_000
TONE = b"\x00\x10" * (RATE_HZ // 50)  # 20 ms


class AnswerConfig(NodeConfig):
    takes_ms: int = 100
    words: int = 10  # half a second each


class Answer(Node):
    """Answers every utterance or transcript with some words, and tells how long the utterance was."""

    Config = AnswerConfig
    config: AnswerConfig
    speech = Input(Utterance, required=False)
    text = Input(TranscriptFinal, required=False)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    audio = Output(AudioFrame, Spoken)

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        yield Until(self.runtime.now_ns() + self.config.takes_ms * 1_000_000)
        self.mark("utterance", ms=len(message.payload) // 32)
        yield from self._answer()

    def on_text(self, message: Message[TranscriptFinal]) -> Iterator[Step]:
        yield Until(self.runtime.now_ns() + self.config.takes_ms * 1_000_000)
        yield from self._answer()

    def _answer(self) -> Iterator[Step]:
        for word in range(self.config.words):
            for frame in range(25):
                yield self.audio(AudioFrame(RATE_HZ, (25 * word + frame) * RATE_HZ // 50), TONE)
            yield self.audio(Spoken(f"word{word}", RATE_HZ // 2, last=word == self.config.words - 1))


class TranscriberConfig(NodeConfig):
    trials: tuple[str, ...] = ()  # what is understood of the utterances on trial, one after the other; then nothing comes
    takes_ms: int = 50


class Transcriber(SttNode):
    """Understands what it was told to."""

    Config = TranscriberConfig
    config: TranscriberConfig
    _tried = 0

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        yield Until(self.runtime.now_ns() + self.config.takes_ms * 1_000_000)
        if not message.body.on_trial:
            self.mark("transcript", text="so it was")
            yield self.text(TranscriptFinal("so it was"))
            return
        self._tried += 1
        if self._tried <= len(self.config.trials):
            yield self.trial(TranscriptFinal(self.config.trials[self._tried - 1]))
