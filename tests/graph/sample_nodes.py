"""Small nodes for tests of the graph file; no sockets, no models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from graph.message import Kind, Mark, Message
from graph.node import Input, Node, NodeConfig, Outgoing, Output


class Number(Kind, frozen=True):
    kind: ClassVar[str] = "sample.number"
    n: int = 0


class Word(Kind, frozen=True):
    kind: ClassVar[str] = "sample.word"
    text: str = ""


class SourceConfig(NodeConfig):
    path: str = Field(description="what to read")
    pace: Literal["realtime", "fast"] = "fast"


class Source(Node):
    """Numbers out of nothing.

    As many as there are.
    """

    Config = SourceConfig
    config: SourceConfig
    extra = "sample"
    numbers = Output(Number, doc="one after the other")
    mixed = Output(Number, Word)

    @classmethod
    def models(cls, config: Any) -> Sequence[str]:
        return (f"model-of-{config.path}",)


class DoubleConfig(NodeConfig):
    factor: int = Field(2, ge=1, le=10, description="by how much")
    window: Literal["fit"] | Annotated[float, Field(gt=0)] = "fit"
    label: str | None = None
    steps: list[int] = Field([], max_length=3)


class Double(Node):
    """Multiplies numbers."""

    Config = DoubleConfig
    config: DoubleConfig
    numbers = Input(Number)
    hint = Input(Word, required=False)
    doubled = Output(Number)

    def on_numbers(self, message: Message[Number]) -> Outgoing:
        return self.doubled(Number(message.body.n * self.config.factor))

    def on_hint(self, message: Message[Word]) -> None:
        self.runtime.status(message.body.text)


class Print(Node):
    """Takes everything and shows it."""

    terminal = True
    numbers = Input(Number, Word)
    numbers_too = Input(Number, Word, required=False)

    def on_numbers(self, message: Message[Number | Word]) -> None:
        print(message.body)

    on_numbers_too = on_numbers


class Watch(Node):
    """Listens to telemetry."""

    marks = Input(Mark)

    def on_marks(self, message: Message[Mark]) -> None:
        print(message.body.name)


class Deaf(Node):
    """Has an input and forgot its handler."""

    numbers = Input(Number)


class NotANode:
    """Of another family altogether."""
