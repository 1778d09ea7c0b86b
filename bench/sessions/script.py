"""What every conversation of a run is made of, the same for every arm; needs nothing but the standard library."""

from __future__ import annotations

TAKES_MS = {"stt": 300, "llm": 200, "tts": 100}  # waited for, one utterance after the other, as a model's threads would take it
REPLY_MS = 2000


def session_name(number: int) -> str:
    return f"session-{number}"


def shared_out(sounds: list[bytes], sessions: int) -> list[list[bytes]]:
    """An equal part for every session."""
    each = len(sounds) // sessions
    return [sounds[number * each : (number + 1) * each] for number in range(sessions)]
