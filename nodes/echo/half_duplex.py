"""One speaks at a time: while the reply is heard, nobody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from graph.node import NodeConfig
from nodes.echo.base import EchoNode
from nodes.speech_audio import samples

if TYPE_CHECKING:
    from nodes.echo.room import Ear


class HalfDuplexConfig(NodeConfig):
    tail_ms: int = Field(
        400, ge=0, le=5000, description="so long after the reply the room still sounds; what is said in it is not heard either"
    )


class HalfDuplex(EchoNode):
    """Silences the microphone while the reply is heard. It needs no library and knows no echo that it does not stop; its price:
    who speaks into a reply is not heard, so there is no barge-in."""

    Config = HalfDuplexConfig
    config: HalfDuplexConfig

    def ear(self) -> Ear:
        from nodes.echo.silencing import Silencing

        return Silencing(samples(self.config.tail_ms))
