"""Where text is cut, and that nothing of it is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.tts.clauses import LONGEST, Clauses, ends_sentence, ends_softly, goes_on, length


def clauses(text: str, language: str = "en", *, hurry: bool = False) -> list[str]:
    cutter = Clauses(language, hurry=hurry)
    return [*cutter.feed(text), *cutter.flush()]


def stripped(text: str, language: str = "en") -> list[str]:
    return [clause.strip() for clause in clauses(text, language)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Dr. Smith arrived at 5 p.m.", "He was late."],
        ["Mr. and Mrs. Lee met Prof. Jones.", "Ms. Poe met J. R. R. Tolkien.", "Yes.", "All went well."],
        ["I live in the U.S.", "It is big."],
        ["The U.S. economy grew.", "Dogs, cats, etc. are pets, e.g. here, i.e. at home."],
        ["It takes approx. 5 minutes.", "Do it on Jan. 5."],
        ["Pi is 3.14, and it costs $5.20.", "Or 1,000.", "See you at 10:30."],
        ["Well... I am not sure.", "Maybe."],
        ["Really?!", "Yes!!", "OK."],
        ['She said "Stop!" and left.', "Then she came back."],
        ['He said, "I am done."', "Then he left."],
        ["It is late (see p. 5).", "Go."],
        ["See https://a.b.com/x.y?z=1.", "Or mail me@x.org.", "Open main.py now."],
        ["Version 2.0.1 is out.", "Use `a.b. c` there."],
        ["The file is no. 5.", "Take it."],
        ["That is **all.**", "*Bye.*"],
    ],
)
def test_sentences(sentences: list[str]) -> None:
    assert stripped(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Take eggs.\n2. Add milk.\n10) Stir.", ["1. Take eggs.", "2. Add milk.", "10) Stir."]),
        ("Buy:\n- milk\n- bread\n\nThat is all", ["Buy:", "- milk", "- bread", "That is all"]),
        ("# Title\nText", ["# Title", "Text"]),
        (
            "Run:\n```python\na = 'b. C'\n\nd, e = 1, 2\n```\nDone.",
            ["Run:", "```python\na = 'b. C'\n\nd, e = 1, 2\n```", "Done."],
        ),
        ("Run:\n~~~\nnever closed. At all", ["Run:", "~~~\nnever closed. At all"]),
        ("", []),
        ("\n \n", [""]),
    ],
)
def test_lines_lists_and_code(text: str, expected: list[str]) -> None:
    assert stripped(text) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("zh", "今天天气很好。明天会下雨！你带伞了吗？", ["今天天气很好。", "明天会下雨！", "你带伞了吗？"]),
        ("ja", "「はい。」と言った。では、また。", ["「はい。」", "と言った。", "では、また。"]),
        ("en", "今日は晴れです。明日は雨です。", ["今日は晴れです。", "明日は雨です。"]),
        ("ar", "كيف حالك؟ أنا بخير.", ["كيف حالك؟", "أنا بخير."]),
        ("hi", "यह एक वाक्य है। यह दूसरा है।", ["यह एक वाक्य है।", "यह दूसरा है।"]),
        ("de", "Das ist z.B. Käse. Gut.", ["Das ist z.B. Käse.", "Gut."]),
        ("xx", "This is one. That is two.", ["This is one.", "That is two."]),
    ],
)
def test_other_scripts(language: str, text: str, expected: list[str]) -> None:
    assert stripped(text, language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sure, I can help you with that, my friend.", ["Sure, I can help you with that,", "my friend."]),
        ("The answer is quite simple: do nothing.", ["The answer is quite simple:", "do nothing."]),
        ("The answer is not so simple — think of it.", ["The answer is not so simple —", "think of it."]),
        ("It is on January 5, 2020 that we met.", ["It is on January 5, 2020 that we met."]),
        ("There are 1,000,000 people in the town.", ["There are 1,000,000 people in the town."]),
        ("Yes, no, so.", ["Yes, no, so."]),  # too short to be cut
        # each later clause must be longer to be cut, so that the one before it lasts while it is made
        (
            "This is the first clause, and this is the second one, which is long, so it is cut, and so on and on.",
            [
                "This is the first clause,",
                "and this is the second one, which is long,",
                "so it is cut, and so on and on.",
            ],
        ),
    ],
)
def test_the_first_clause_is_early(text: str, expected: list[str]) -> None:
    assert stripped(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The sky is blue because of the air.", ["The sky is blue", "because of the air."]),
        ("The largest planet in our solar system is Jupiter.", ["The largest planet", "in our solar system is Jupiter."]),
        ("It was and is so.", ["It was and is so."]),  # too short to be cut
        ("The capital is Paris, which is known for its art.", ["The capital is Paris,", "which is known for its art."]),
        ("Yes, it is. The sky is blue because of the air.", ["Yes, it is.", "The sky is blue because of the air."]),
        ("Our sandwiches androids.", ["Our sandwiches androids."]),
        ("To make pancakes, boil a pot of water, and so on.", ["To make pancakes,", "boil a pot of water, and so on."]),
        ("The moon is approximately 238,855 miles away.", ["The moon is approximately", "238,855 miles away."]),
        ("The first landing was in 1969 on the moon.", ["The first landing was", "in 1969 on the moon."]),
        (
            "Nobody knows today whether these seventeen famous travelling scholars met there.",
            ["Nobody knows today whether these seventeen famous travelling", "scholars met there."],
        ),
    ],
)
def test_in_a_hurry_the_first_clause_ends_before_a_phrase(text: str, expected: list[str]) -> None:
    found = clauses(text, hurry=True)
    assert [clause.strip() for clause in found] == expected
    assert [goes_on(clause) for clause in found[:-1]] == [not clause.endswith((",", ".")) for clause in expected[:-1]]


@pytest.mark.parametrize("language", ["de", "fr", "xx"])
def test_each_language_has_words_of_its_own(language: str) -> None:
    found = clauses("Das ist ein schöner Tag und et la maison est bleue et verte.", language, hurry=True)
    assert [clause.split()[0] for clause in found[1:]] == {"de": ["und"], "fr": ["et"], "xx": []}[language]


def test_a_clause_is_told_as_soon_as_it_is_certain() -> None:
    cutter = Clauses()
    text = "Very well, come and see us then, please. It is here.\nBye"
    told = [(text[: i + 1], found) for i, char in enumerate(text) if (found := cutter.feed(char))]
    assert told == [  # at the first letter of the word after the mark, or with the line's end
        ("Very well, come and see us then, p", ["Very well, come and see us then, "]),
        ("Very well, come and see us then, please. I", ["please. "]),
        ("Very well, come and see us then, please. It is here.\n", ["It is here.\n"]),
    ]
    assert cutter.flush() == ["Bye"]


@pytest.mark.parametrize("text", ["word " * 100, "ภาษาไทยไม่มีช่องว่าง" * 30, "長" * 300, "a" * 500, "one, two " * 60])
def test_what_has_no_end_is_cut_where_it_hurts_least(text: str) -> None:
    found = clauses(text)
    assert len(found) > 1
    assert all(length(clause) <= LONGEST for clause in found)
    for before, after in pairwise(found):
        if " " in text:
            assert before.endswith(" ")
        assert after[0] not in "่้ิีืึุู"  # a Thai vowel sign or tone stays with its letter
    if "," in text:
        assert all(clause.endswith(", ") for clause in found[:-1])


def test_a_new_reply_begins_early_again() -> None:
    cutter = Clauses()
    text = "This is the first clause, and this is more."
    first = [*cutter.feed(text), *cutter.flush()]
    assert [*cutter.feed(text), *cutter.flush()] == first


@pytest.mark.parametrize(
    ("clause", "sentence", "soft"),
    [
        ("Done. ", True, False),
        ('"Done!" ', True, False),
        ("好。", True, False),
        ("- milk\n", True, False),
        ("so, ", False, True),
        ("but — ", False, True),
        ("那么，", False, True),
        ("cut ", False, False),
    ],
)
def test_how_a_clause_ends(clause: str, sentence: bool, soft: bool) -> None:
    assert (ends_sentence(clause), ends_softly(clause)) == (sentence, soft)


WORDS = ["Dr. ", "e.g. ", "3.14", "```\n", "word ", "Word ", "長い", "é", "👍🏽", "\u2028", "\u00a0", "ไทย"]
PIECES = st.sampled_from([*"aB1 .,!?…:;-—'\"()[]*_`#\n。、！」؟।", *WORDS])
TEXTS = st.lists(PIECES | st.characters(codec="utf-8"), max_size=120).map("".join)


@given(TEXTS, st.sampled_from(["en", "de", "ja", "hi", "ar", "xx"]))
def test_nothing_is_lost(text: str, language: str) -> None:
    assert "".join(clauses(text, language)) == text
    assert "".join(clauses(text, language, hurry=True)) == text


@given(TEXTS, st.data())
def test_how_the_text_is_cut_into_tokens_does_not_matter(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    cutter = Clauses(hurry=True)
    told = []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        told += cutter.feed(text[begin:end])
    assert [*told, *cutter.flush()] == clauses(text, hurry=True)


@given(TEXTS)
def test_what_was_told_is_never_taken_back(text: str) -> None:
    cutter = Clauses(hurry=True)
    assert clauses(text + " More.", hurry=True)[: len(told)] == told if (told := cutter.feed(text)) else True
