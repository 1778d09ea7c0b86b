from __future__ import annotations

import tomllib

import pytest

from nodes.turn.backchannel import LISTS, listening, meant, own_list, phrases, words


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ... ",
        "Mm-hmm.",
        "Mmmm, mm-hm!",
        "Uh-huh. Okay.",
        "OK",
        "Yeah, yeah, right.",
        "All right, I see.",
        "Oh, that’s right.",
        "Hmm?",
    ],
)
def test_what_a_listener_says_is_not_meant_for_us(text: str) -> None:
    assert meant(text, listening("en")) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Stop.", 1),
        ("No.", 1),
        ("Okay, stop.", 1),
        ("Right, but what about Paris?", 4),
        ("Stop, tell me something else.", 5),
        ("I see nothing.", 1),
    ],
)
def test_words_that_are_meant_are_counted(text: str, count: int) -> None:
    assert meant(text, listening("en")) == count


@pytest.mark.parametrize(
    ("language", "text"), [("de", "Ach so, ja."), ("fr", "D’accord."), ("ja", "そうですね。"), ("zh", "嗯，好的。")]
)
def test_each_language_has_its_own(language: str, text: str) -> None:
    assert meant(text, listening(language)) == 0


def test_a_language_without_a_list_has_the_english_one() -> None:
    assert listening("eo") == listening("") == listening("en")


def test_a_list_of_ones_own_takes_the_place_of_all() -> None:
    own = own_list(["roger that"], "de")
    assert meant("Roger that!", own) == 0
    assert meant("Ja.", own) == 1
    assert own_list([], "en") == frozenset()
    assert own_list(None, "de") == listening("de")


def test_letters_that_repeat_count_once() -> None:
    assert words("Mmm-hmm, ALL right") == ("m", "hm", "al", "right")
    assert phrases(["", "..."]) == frozenset()


def test_every_list_is_of_phrases() -> None:
    for language, texts in tomllib.loads(LISTS.read_text(encoding="utf-8")).items():
        assert len(language) == 2
        assert all(words(text) for text in texts), language
        assert len(texts) == len(set(texts)), language
