from __future__ import annotations

import pytest

from nodes.stt.doubt import Limits, Written, doubt, is_speech, says_again

LIMITS = Limits(no_speech=0.5, log_prob=-1.0, compression_ratio=2.4)


def written(
    text: str = "What time is my first meeting?",
    tokens: int = 7,
    avg_logprob: float = -0.1,
    no_speech: float = 0.1,
    compression_ratio: float = 0.8,
) -> Written:
    return Written(text, tokens, avg_logprob, no_speech, compression_ratio)


@pytest.mark.parametrize(
    ("heard", "sound_s", "expected"),
    [
        ([written()], 1.6, ""),
        ([written("No.", 1, -0.6)], 0.7, ""),
        ([written("five five", 2, -0.4)], 1.0, ""),
        ([written("17.", 2)], 1.2, ""),
        ([written("pause " * 7, 14, -0.01, compression_ratio=4.2)], 0.7, "repeats"),
        ([written("How many days are there? How many days are there?", 14)], 2.0, "repeats"),
        ([written("la la la", 40)], 0.7, "repeats"),  # cut off before zlib could tell
        ([written("Stop it!", 3, -1.1)], 0.6, "scores low"),
        ([written("I would like to know", 5)], 3.2, "ends early"),
        ([written("你好，今天天气怎么样？", 11)], 2.0, ""),
        ([written("Set a timer", 3), written("for ten minutes.", 3)], 2.2, ""),
        ([], 3.0, ""),
    ],
)  # fmt: skip
def test_doubts_what_a_short_window_spoils(heard: list[Written], sound_s: float, expected: str) -> None:
    assert doubt(heard, sound_s, max_tokens=40, limits=LIMITS) == expected


def test_each_limit_is_the_caller_s() -> None:
    assert doubt([written(avg_logprob=-0.5)], 1.6, 40, Limits(0.5, -0.4, 2.4)) == "scores low"
    assert doubt([written(compression_ratio=1.5)], 1.6, 40, Limits(0.5, -1.0, 1.4)) == "repeats"


def test_speech_neither_looks_like_silence_nor_repeats() -> None:
    assert is_speech(written(), LIMITS)
    assert is_speech(written("Stop!", 2, -1.07), LIMITS)  # a single word scores low
    assert not is_speech(written("you", 1, -0.83, no_speech=0.74), LIMITS)
    assert is_speech(written("Read me the news headlines.", 6, -0.14, no_speech=0.55), LIMITS), "clear, if softly begun"
    assert not is_speech(written("I'm a man, " * 20, 80, -0.2, compression_ratio=20.5), LIMITS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is it? What is it", True),
        ("So I said go on, go on, go on, go on!", True),
        ("Well, if it rains tomorrow if it rains tomorrow we stay", True),
        ("Bye bye.", False),
        ("It is very, very far, very far away.", False),
        ("one two three four one two three", False),
        ("", False),
    ],
)
def test_notices_a_phrase_that_follows_itself(text: str, expected: bool) -> None:
    assert says_again(text) is expected
