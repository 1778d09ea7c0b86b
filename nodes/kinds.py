"""The kinds that all families share."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind


class AudioFrame(Kind, frozen=True, omit_defaults=True):
    """A stretch of mono sound; the payload is its samples as s16 little-endian.

    `start` counts samples of this source and session from 0, so times within a conversation are sample-exact. The
    header's `origin_ns` is when the frame's last sample was spoken.
    """

    kind: ClassVar[str] = "audio.frame"
    sample_rate: int  # Hz
    start: int = 0  # index of the first sample


class Text(Kind, frozen=True, omit_defaults=True):
    """A piece of text that stands for itself: typed input, a prompt, an announcement."""

    kind: ClassVar[str] = "text"
    text: str
