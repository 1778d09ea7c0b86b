"""WebRTC's echo canceller (AEC3): the user is heard while the assistant speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from graph.node import NodeConfig
from nodes.echo.base import EchoNode
from nodes.speech_audio import samples

if TYPE_CHECKING:
    from nodes.echo.room import Ear

TAIL_MS = 400  # so long after the reply a room still sounds, while its echo is not known yet


class WebrtcConfig(NodeConfig):
    """The default was measured: docs/decisions/0020-echo.md."""

    learn_ms: int = Field(
        2000,
        ge=0,
        le=10_000,
        description="so much of the first reply is heard with a silent microphone, until the canceller knows the room",
    )


class Webrtc(EchoNode):
    """Takes the reply out of what the microphone hears; who speaks into the reply is heard, and may interrupt it.

    What the echo needs to come back may be anything up to half a second. The sound that leaves lags 8 ms behind its count,
    and 16 ms where frames are of 32 ms.
    """

    Config = WebrtcConfig
    config: WebrtcConfig
    extra = "echo"

    def setup(self) -> None:
        """:raises MissingExtra: a library is not installed."""
        super().setup()
        try:
            from nodes.echo.canceller import Canceller
        except ImportError as error:
            raise self.missing(error.name or "pywebrtc_audio") from error
        self._canceller = Canceller

    def ear(self) -> Ear:
        return self._canceller(samples(self.config.learn_ms), samples(TAIL_MS))
