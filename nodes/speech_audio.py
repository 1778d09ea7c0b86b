"""The sound that speech models listen to: 16 kHz mono s16."""

from __future__ import annotations

from graph.message import Message
from nodes.kinds import AudioFrame

SAMPLE_RATE_HZ = 16_000


def samples(ms: int) -> int:
    """How many samples that is."""
    return ms * SAMPLE_RATE_HZ // 1000


def fault(message: Message[AudioFrame]) -> str:
    """Why a frame cannot be listened to; empty: it can."""
    if message.body.sample_rate != SAMPLE_RATE_HZ:
        return f"it is of {message.body.sample_rate} Hz, {SAMPLE_RATE_HZ} Hz are needed"
    if len(message.payload) % 2:
        return f"{len(message.payload)} bytes are no s16 samples"
    return ""
