"""What was transcribed on trial, kept until it is wanted for good: nothing is transcribed twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

from graph.message import Message
from nodes.turn.base import Utterance

T = TypeVar("T")

SESSIONS_REMEMBERED = 1000


class Trials(Generic[T]):
    """Of each session what the newest utterance on trial said."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, int, T]] = OrderedDict()

    def keep(self, message: Message[Utterance], heard: T) -> None:
        """An utterance on trial was transcribed."""
        self._kept.pop(message.session, None)
        self._kept[message.session] = message.turn, message.revision, heard
        if len(self._kept) > SESSIONS_REMEMBERED:
            self._kept.popitem(last=False)

    def take(self, message: Message[Any]) -> T | None:
        """What this utterance said when it was on trial; None where it was not, and it has to be transcribed."""
        kept = self._kept.get(message.session)
        if kept is None or kept[:2] != (message.turn, message.revision):
            return None
        del self._kept[message.session]
        return kept[2]
