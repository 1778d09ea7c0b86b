"""The capture family: sources of what the user says."""

from __future__ import annotations

from graph.node import Node, Output
from nodes.kinds import AudioFrame

SAMPLE_RATE_HZ = 16_000  # what every speech model of the default graph listens at


class CaptureNode(Node):
    """A source of audio: mono s16 frames of equal length, numbered by sample, each stamped with when it was spoken."""

    extra = "audio"
    audio = Output(AudioFrame, doc="16 kHz mono s16 frames")
