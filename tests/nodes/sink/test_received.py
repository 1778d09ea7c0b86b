"""What a voice says again when it was started again is heard once."""

from __future__ import annotations

import pytest

from graph.message import PROTOCOL, Header, Message
from nodes.kinds import AudioFrame
from nodes.sink.received import Received
from nodes.tts.base import Spoken

FRAME = 480  # samples


class Voice:
    """One process that speaks, from a position of the reply on."""

    def __init__(self, received: Received, life: int, start: int = 0) -> None:
        self.received, self.life, self.start = received, life, start

    def says(self, body: AudioFrame | Spoken, payload: bytes = b"") -> bool:
        header = Header(PROTOCOL, body.kind, "audio", "tts", 0, life=self.life)
        return self.received.news(Message(body, payload, turn=1, header=header))

    def frames(self, count: int) -> list[int]:
        """Speak; the starts of those that are heard."""
        heard = []
        for _ in range(count):
            if self.says(AudioFrame(24_000, self.start), bytes(2 * FRAME)):
                heard.append(self.start // FRAME)
            self.start += FRAME
        return heard

    def clause(self, count: int) -> tuple[list[int], bool]:
        """The same, and whether its text is news."""
        return self.frames(count), self.says(Spoken("so many", count * FRAME))


@pytest.mark.parametrize("length", [9, 10, 11])
def test_a_clause_is_heard_on_from_where_it_broke_off(length: int) -> None:
    received = Received()
    first = Voice(received, 0)
    assert first.clause(5) == ([0, 1, 2, 3, 4], True)
    first.frames(4)
    second = Voice(received, 1, start=5 * FRAME)
    assert second.clause(length) == (list(range(9, 5 + length)), True)
    assert len(second.frames(3)) == 3


@pytest.mark.parametrize("length", [3, 4, 5])
def test_a_clause_that_was_heard_to_its_end_is_not_heard_again(length: int) -> None:
    received = Received()
    Voice(received, 0).clause(4)
    second = Voice(received, 1)
    assert second.clause(length) == ([4] if length == 5 else [], False)
    assert second.clause(2)[1]
    assert second.says(Spoken(last=True))


def test_a_reply_that_is_over_or_cut_is_forgotten() -> None:
    received = Received()
    Voice(received, 0).clause(4)
    received.cut("default", 1, 0)
    assert Voice(received, 1).frames(1) == []
    received.cut("default", 1, 1)
    assert Voice(received, 2).frames(1) == [0]
    assert Voice(received, 2).says(Spoken(last=True))
    assert Voice(received, 3).frames(1) == [0]


def test_a_voice_that_does_not_count_its_samples_is_heard() -> None:
    voice = Voice(Received(), 0)
    for _ in range(3):
        voice.start = 0
        assert voice.frames(1) == [0]
