"""How far each reply has come in. A voice that was started again begins with its clause again: what has come of that is no
news. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from graph.message import Message
from nodes.kinds import AudioFrame
from nodes.tts.base import Spoken

Key: TypeAlias = tuple[str, int, int]  # session, turn, revision


@dataclass(slots=True)
class _Progress:
    voice: tuple[str, int]  # instance and life
    come: int = 0  # samples
    told: int = 0  # of these, samples whose text has come
    again: bool = False  # the voice is another than before, and has not come to the end of a clause


class Received:
    """Of each reply that is coming in, from whom, and how much."""

    def __init__(self) -> None:
        self._replies: dict[Key, _Progress] = {}

    def news(self, message: Message[AudioFrame | Spoken]) -> bool:
        """Take note of a piece of a reply. False where it has come already."""
        key, body, header = (message.session, message.turn, message.revision), message.body, message.header
        voice = ("", 0) if header is None else (header.instance, header.life)
        reply = self._replies.setdefault(key, _Progress(voice))
        if voice != reply.voice:
            reply.voice, reply.again = voice, True
        if isinstance(body, AudioFrame):
            if reply.again and body.start < reply.come:
                return False
            reply.come += len(message.payload) // 2
            return True
        again, reply.again = reply.again, False
        if again and reply.told + body.samples > reply.come:
            return False
        reply.told += body.samples
        if body.last:
            del self._replies[key]
        return True

    def cut(self, session: str, turn: int, revision: int) -> None:
        """What is older does not come any more."""
        for key in [one for one in self._replies if one[0] == session and one[1] > 0 and one[1:] < (turn, revision)]:
            del self._replies[key]
