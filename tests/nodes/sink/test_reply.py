"""Which words of a reply were heard when it was cut short."""

from __future__ import annotations

import pytest

from nodes.kinds import Played
from nodes.sink.reply import Reply
from nodes.tts.base import Spoken


def reply_of(*pieces: Spoken) -> Reply:
    reply = Reply("anna", 1, 0, sample_rate=1000, samples=sum(piece.samples for piece in pieces))
    for piece in pieces:
        reply.say(piece)
    return reply


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        (0, ""),
        (50, ""),
        (100, "Well,"),
        (200, "Well, it is"),
        (399, "Well, it is raining"),
        (400, "Well, it is raining now."),
    ],
)
def test_the_text_ends_with_the_last_word_heard_in_whole(heard: int, text: str) -> None:
    reply = reply_of(Spoken("Well,", 100), Spoken(" it is raining now. ", 300, last=True))
    assert reply.played(heard) == Played(text, heard, 1000, interrupted=True)


def test_a_script_without_spaces_is_cut_between_characters() -> None:
    assert reply_of(Spoken("今日は雨です。", 700, last=True)).played(300).text == "今日は"


def test_a_reply_heard_to_its_end_says_everything() -> None:
    reply = reply_of(Spoken("One.", 10), Spoken("", 0), Spoken("Two.", 20, last=True))
    assert reply.complete
    assert reply.played() == Played("One. Two.", 30, 1000)


def test_a_piece_whose_text_is_not_known_yet_says_nothing() -> None:
    reply = reply_of(Spoken("One.", 10))
    reply.samples += 20  # frames came, their words not yet
    assert not reply.complete
    assert reply.played(25) == Played("One.", 25, 1000, interrupted=True)
