from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.scenarios.word_error import WordError, total, word_error, words

some_words = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "today"]), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ("Stop.", "stop", WordError(0, 0, 0, 1)),
        ("set a timer", "set the timer", WordError(1, 0, 0, 3)),
        ("turn off the lights in the bedroom", "turn off the lights", WordError(0, 3, 0, 7)),
        ("yes", "yes yes yes", WordError(0, 0, 2, 1)),
        ("", "thank you", WordError(0, 0, 2, 0)),
        ("good night", "", WordError(0, 2, 0, 2)),
        ("a b c d", "b c x d", WordError(0, 1, 1, 4)),
    ],
)
def test_counts_each_sort_of_error(said: str, heard: str, expected: WordError) -> None:
    assert word_error(said, heard) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What's the Weather—like, today?", "whats the weather like today"),
        ("Mr. Dashwood’s café", "mister dashwoods cafe"),
        ("5 minutes, 16 ounces, 105 miles", "five minutes sixteen ounces one hundred five miles"),
        ("in 1969 or 2005 or 2024", "in nineteen sixty nine or two thousand five or twenty twenty four"),
        ("1,000,000 people", "one million people"),
        ("the 1st, 22nd and 20th", "the first twenty second and twentieth"),
        ("3.14 at 7:30, 8:05 and 9:00", "three point one four at seven thirty eight oh five and nine"),
        ("$20 is 5%", "twenty dollars is five percent"),
        ("ill-disposed, OK", "ill disposed okay"),
        ("3D on the 4x4", "3d on the 4x4"),
        ("你好，世界", "你好 世界"),
        ("...", ""),
    ],
)
def test_words_are_compared_without_case_punctuation_or_digits(text: str, expected: str) -> None:
    assert words(text) == expected.split()


def test_the_rate_of_a_sum_is_weighted_by_length() -> None:
    errors = total(
        [word_error("one two three four five six seven", "one two three four five six seven"), word_error("stop", "go")]
    )
    assert errors == WordError(1, 0, 0, 8)
    assert errors.rate == 0.125
    assert total([]).rate == 0.0


@given(some_words, some_words)
def test_is_a_distance(a: str, b: str) -> None:
    there, back = word_error(a, b), word_error(b, a)
    assert there.errors == back.errors
    assert (there.errors == 0) == (words(a) == words(b))
    assert abs(len(words(a)) - len(words(b))) <= there.errors <= max(len(words(a)), len(words(b)))
    assert there.words - there.deletions + there.insertions == len(words(b))
