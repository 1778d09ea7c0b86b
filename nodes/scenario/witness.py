"""Writes down what happens in a scenario, at once: lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from pydantic import Field

from graph.message import Mark, Message
from graph.node import Input, NodeConfig
from nodes.kinds import AudioFrame, Played, ReplyBegins
from nodes.llm.base import Token
from nodes.metrics.base import MetricsNode
from nodes.scenario.base import Cue
from nodes.stt.base import TranscriptFinal
from nodes.tts.base import Spoken
from nodes.turn.base import Utterance


class WitnessConfig(NodeConfig):
    file: Path = Field(description="where it writes: `what`, `at_ns` (monotonic), `session`, `turn`, `revision`, and more")


class Witness(MetricsNode):
    """Hears the marks of all nodes, what was played and the user's cues; for a recording, also what goes to the models and
    comes from them."""

    Config = WitnessConfig
    config: WitnessConfig
    replaceable = False  # its file is being written

    played = Input(ReplyBegins, Played, required=False)
    cue = Input(Cue, required=False)
    utterance = Input(Utterance, required=False)
    text = Input(TranscriptFinal, required=False)
    tokens = Input(Token, required=False)
    audio = Input(AudioFrame, Spoken, required=False)

    _file: TextIO

    def setup(self) -> None:
        self._file = self.config.file.open("w", encoding="utf-8", buffering=1)

    def on_marks(self, message: Message[Mark]) -> None:
        mark = message.body
        self._write(message, mark.name, mark.at_ns, **mark.fields)

    def on_played(self, message: Message[ReplyBegins | Played]) -> None:
        body = message.body
        if isinstance(body, Played):
            self._write(message, "reply.ends", text=body.text, interrupted=body.interrupted, gaps=body.gaps)
        else:
            self._write(message, "reply.begins")

    def on_cue(self, message: Message[Cue]) -> None:
        self._write(message, "cue", name=message.body.name, step=message.body.step)

    def on_utterance(self, message: Message[Utterance]) -> None:
        self._write(message, "utterance")

    def on_text(self, message: Message[TranscriptFinal]) -> None:
        self._write(message, "text", text=message.body.text)

    def on_tokens(self, message: Message[Token]) -> None:
        self._write(message, "token", text=message.body.text, last=message.body.last)

    def on_audio(self, message: Message[AudioFrame | Spoken]) -> None:
        body = message.body
        if isinstance(body, Spoken):
            self._write(message, "spoken", text=body.text, last=body.last)
        else:
            self._write(message, "frame", seconds=len(message.payload) / 2 / body.sample_rate)

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _write(self, message: Message[Any], what: str, at_ns: int = 0, **more: object) -> None:
        header = message.header
        line = {
            "what": what,
            "at_ns": at_ns or (header.sent_ns if header else 0),
            "session": message.session,
            "turn": message.turn,
            "revision": message.revision,
            "by": header.instance if header else "",
        }
        print(json.dumps(line | more, ensure_ascii=False), file=self._file)
