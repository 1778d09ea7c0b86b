"""The language model family."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind
from graph.node import Input, Node, Output
from nodes.kinds import Played, ReplyBegins, Text
from nodes.stt.base import TranscriptFinal
from nodes.turn.base import Interrupt


class Token(Kind, frozen=True, omit_defaults=True):
    """A piece of the reply as it is written. The last one of a turn has `last` set and may be empty."""

    kind: ClassVar[str] = "token"
    text: str = ""
    index: int = 0  # counts the pieces of a turn from 0
    last: bool = False
    cause: str = ""  # of the last one: why there is no reply, or not all of it


class LlmNode(Node):
    """Answers what the user said, token by token; keeps the history of each session."""

    extra = "llm"
    text = Input(TranscriptFinal, Text)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    played = Input(
        ReplyBegins, Played, required=False, past=True, doc="from the sink: the history keeps what was heard of a reply"
    )
    tokens = Output(Token)
