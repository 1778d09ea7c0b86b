"""In the place of models: what they take is fixed and is waited for, not worked for, so all that is measured is around them.

Transcript and reply are made of what arrives: words that come to the wrong session show (signed_speech.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.signed_speech import words
from bench.square_wave import RATE_HZ, frames
from graph.message import Message
from graph.node import NodeConfig, Step, Until
from nodes.causes import NOT_UNDERSTOOD
from nodes.kinds import AudioFrame, Played, ReplyBegins, Text
from nodes.llm.base import LlmNode, Token
from nodes.marks import FIRST_CLAUSE, FIRST_TOKEN, TRANSCRIPT
from nodes.stt.base import SttNode, TranscriptFinal
from nodes.stt.trials import Trials
from nodes.tts.base import Sentence, Spoken, TtsNode
from nodes.turn.base import Utterance


class StandInConfig(NodeConfig):
    takes_ms: int = 100


class Transcriber(SttNode):
    """Understands who spoke."""

    Config = StandInConfig
    config: StandInConfig

    def setup(self) -> None:
        self._trials: Trials[str] = Trials()

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        text = self._trials.take(message)
        if text is None:
            text = words(np.frombuffer(message.payload, "<i2"), message.body.sample_rate)
            yield Until(self.runtime.now_ns() + self.config.takes_ms * 1_000_000)
        transcript = TranscriptFinal(text, "en", 1.0)
        if message.body.on_trial:
            self._trials.keep(message, text)
            yield self.trial(transcript)
        else:
            self.mark(TRANSCRIPT, text=text)
            yield self.text(transcript)


class Model(LlmNode):
    """Answers whom it heard."""

    Config = StandInConfig
    config: StandInConfig

    def on_text(self, message: Message[TranscriptFinal | Text]) -> Iterator[Step]:
        if not message.body.text:
            yield self.tokens(Token(last=True, cause=NOT_UNDERSTOOD))
            return
        yield Until(self.runtime.now_ns() + self.config.takes_ms * 1_000_000)
        self.mark(FIRST_TOKEN)
        yield self.tokens(Token(f"Hello {message.body.text}.", last=True))

    def on_played(self, message: Message[ReplyBegins | Played]) -> None:
        """It remembers nothing."""


class VoiceConfig(StandInConfig):
    reply_ms: int = 2000  # how long a reply is


class Voice(TtsNode):
    """Speaks with a square wave, in whose samples its loudness can be read."""

    Config = VoiceConfig
    config: VoiceConfig

    def on_text(self, message: Message[Token | Sentence | Text]) -> Iterator[Step]:
        if not message.body.text:
            yield self.audio(Spoken(last=True, cause=message.body.cause if isinstance(message.body, Token) else ""))
            return
        self.mark(FIRST_CLAUSE, text=message.body.text)
        yield Until(self.runtime.now_ns() + self.config.takes_ms * 1_000_000)
        start = 0
        for payload in frames(self.config.reply_ms):
            yield self.audio(AudioFrame(RATE_HZ, start), payload)
            start += len(payload) // 2
        yield self.audio(Spoken(message.body.text, start, last=True))
