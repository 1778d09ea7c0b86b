"""In the place of models: what a conversation does when one of them is late, fails or says nothing in its first turn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graph.message import Message
from graph.node import NodeConfig, Step, Until
from nodes.llm.chat import ChatConfig, ChatNode
from nodes.llm.completion import Completion, CompletionError
from nodes.llm.history import ChatMessage
from nodes.marks import TRANSCRIPT
from nodes.stt.base import SttNode, TranscriptFinal
from nodes.tts.speech import SpeechConfig, SpeechNode
from nodes.turn.base import Utterance

RATE_HZ = 24_000
LATE_NS = 120_000_000_000
SLOW_NS = 2_000_000_000
SENTENCES = 6  # of a reply
SENTENCE_S = 0.4


class TroubledConfig(NodeConfig):
    trouble: str = ""


class Transcriber(SttNode):
    """Understands "question", with the number of the turn; of the first one, what it was told to."""

    Config = TroubledConfig
    config: TroubledConfig

    def on_speech(self, message: Message[Utterance]) -> Iterator[Step]:
        text = f"question {message.turn}"
        if message.turn == 1 and self.config.trouble == "late":
            yield Until(self.runtime.now_ns() + LATE_NS)
        if message.turn == 1 and self.config.trouble == "slow":
            yield Until(self.runtime.now_ns() + SLOW_NS)
        if message.turn == 1 and self.config.trouble == "dies":
            os._exit(1)
        if message.turn == 1 and self.config.trouble == "empty":
            text = ""
        if message.body.on_trial:
            yield self.trial(TranscriptFinal(text))
            return
        self.mark(TRANSCRIPT, text=text)
        yield self.text(TranscriptFinal(text))


class ModelConfig(ChatConfig, TroubledConfig):
    pass


class Model(ChatNode):
    """Says some sentences about a question; about the first one, what it was told to."""

    Config = ModelConfig
    config: ModelConfig

    def load(self, path: Path) -> None:
        """It has no model."""

    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        said = messages[-1]["content"]
        trouble = self.config.trouble if said == "question 1" else ""
        if trouble == "error":
            raise CompletionError("out of memory")
        if trouble == "dies":
            os._exit(1)
        if trouble == "thinks":
            time.sleep(SLOW_NS / 1e9)
        while trouble == "late" and not completion.cancelled:
            time.sleep(0.01)
        for number in range(0 if trouble == "nothing" else SENTENCES):
            completion.put({"choices": [{"delta": {"content": f"This is about {said}. "}}]})
            if trouble == "breaks" and number == 2:
                raise CompletionError("out of memory")
            for _ in range(50 if trouble == "slow" else 0):
                if completion.cancelled:
                    return
                time.sleep(0.01)
        completion.put({"choices": [{"delta": {}, "finish_reason": "stop"}]})


class VoiceConfig(SpeechConfig, TroubledConfig):
    pass


class Voice(SpeechNode):
    """A tone for each sentence; for what is said about the first question, what it was told to."""

    Config = VoiceConfig
    config: VoiceConfig

    def load(self) -> Voice.Engine:
        return Voice.Engine(self.config.trouble)

    class Engine:
        sample_rate = RATE_HZ
        language = "en-us"

        def __init__(self, trouble: str) -> None:
            self._trouble = trouble

        def synthesise(self, text: str) -> Iterator[NDArray[np.float32]]:
            trouble = self._trouble if "question 1" in text else ""
            if trouble == "broken":
                raise RuntimeError("no more memory")
            if trouble == "dies":
                os._exit(1)
            if trouble == "slow":
                time.sleep(SENTENCE_S)
            if trouble != "mute":
                yield np.full(round(SENTENCE_S * RATE_HZ), 0.1, np.float32)

        def abort(self) -> None:
            """It is over soon anyway."""
