"""In the place of a language model: it replies what the scenario says. The chat around it, its history too, is the real one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from graph.message import Message
from graph.node import NodeConfig, Step
from graph.scenarios.stand_ins import LlmStandIn
from nodes.kinds import Text
from nodes.llm.chat import ChatConfig, ChatNode
from nodes.llm.completion import Completion, Update
from nodes.llm.history import ChatMessage
from nodes.scenario.replay import Pieces, Replay
from nodes.stt.base import TranscriptFinal

PROMPT = "prompt"  # the mark of what the model is shown; fields: messages, as JSON
LOOK_S = 0.005


class ScenarioLlmConfig(ChatConfig):
    behaves: LlmStandIn = Field(
        default_factory=LlmStandIn, description="what it replies, how long it takes, what it does wrong"
    )
    recording: Path | None = Field(None, description="what a real one said, and when: it says the same")
    version: int = Field(1, description="another one replaces it while the graph runs")


class ScenarioLlm(ChatNode):
    """Replies word by word, turn by turn, and tells what it was shown."""

    Config: ClassVar[type[NodeConfig]] = ScenarioLlmConfig
    config: ScenarioLlmConfig
    extra = ""

    _now: Message[Any]

    @classmethod
    def models(cls, config: Any) -> Sequence[str]:
        """None."""
        return ()

    def load(self, path: Path) -> None:
        """It has no model."""

    def setup(self) -> None:
        self._replay = Replay(self.config.recording)

    def on_text(self, message: Message[TranscriptFinal | Text]) -> Iterator[Step]:
        self._now = message
        yield from super().on_text(message)

    def _complete(self, messages: list[ChatMessage]) -> Generator[Update]:
        self.mark(PROMPT, messages=json.dumps(messages, ensure_ascii=False))
        return super()._complete(messages)

    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        turn = self._now.turn
        special = self.config.behaves.of(turn)
        for pause_s, piece in self._pieces(messages[-1]["content"]):
            if not _slept(pause_s, completion):
                return
            completion.put({"choices": [{"delta": {"content": piece}}]})
        if special.fail is not None:
            _slept(self.config.behaves.delay_s(turn), completion)
            completion.put({"error": {"message": special.fail}})
        completion.put({"choices": [{"delta": {}, "finish_reason": "stop"}]})

    def _pieces(self, said: str) -> Pieces:
        """What it says, each piece with the pause before it."""
        now, behaves = self._now, self.config.behaves
        recorded = self._replay.tokens(now.session, now.turn, now.revision)
        if recorded is not None:
            return recorded
        if behaves.of(now.turn).fail is not None:
            return []
        words = re.findall(r"\S+\s*", behaves.reply(now.turn, said))
        return [(behaves.word if n else behaves.delay_s(now.turn), word) for n, word in enumerate(words)]


def _slept(seconds: float, completion: Completion) -> bool:
    """Wait; False where nobody wants the rest any more."""
    until_s = time.monotonic() + seconds
    while not completion.cancelled and (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(LOOK_S, left_s))
    return not completion.cancelled
