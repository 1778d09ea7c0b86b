"""A reply goes on where a voice or a language model has died: every word is spoken, and none twice."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.llm.base import Token
from nodes.tts.clauses import Clauses
from nodes.tts.reply import Reply

TEXT = "It is so. And that, to be sure, is not all of it; there is more. Wait and see."


def tokens(text: str, cuts: list[int]) -> list[Token]:
    """The text in pieces, and the last token behind them."""
    ends = sorted({cut % len(text) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(ends)]
    return [*(Token(piece, n) for n, piece in enumerate(pieces)), Token(index=len(pieces), last=True)]


def new() -> Reply:
    return Reply("ann", 1, 0, 0, Clauses("en"))


def spoken(reply: Reply, token: Token, run: int = 0) -> list[str]:
    """What is spoken when it has come."""
    reply.take(token, run)
    due, reply.due = reply.due, []
    return due


def next_life(reply: Reply) -> Reply:
    return Reply.restored("ann", reply.snapshot(), Clauses("en"))


cuts = st.lists(st.integers(0, 200), max_size=30)


@settings(deadline=None)
@given(cuts, st.lists(st.integers(0, 100), max_size=3), st.integers(0, 3))
def test_a_voice_that_dies_between_two_tokens_goes_on_with_the_next(at: list[int], deaths: list[int], unheard: int) -> None:
    said = tokens(TEXT, at)
    reply, heard = new(), []
    for n, token in enumerate(said):
        if n in deaths:
            reply = next_life(reply)
            for again in said[max(0, n - unheard) : n]:  # it was not known to be done
                heard += spoken(reply, again)
        heard += spoken(reply, token)
    assert "".join(heard) == TEXT


@settings(deadline=None)
@given(cuts, cuts, st.integers(0, 200))
def test_a_language_model_that_says_the_same_again_is_heard_once(at: list[int], again: list[int], died: int) -> None:
    said = tokens(TEXT, at)[:-1]
    reply = new()
    heard = [clause for token in said[: died % (len(said) + 1)] for clause in spoken(reply, token)]
    heard += [clause for token in tokens(TEXT, again) for clause in spoken(reply, token, 1)]
    assert "".join(heard) == TEXT


def test_it_may_die_more_than_once_and_the_voice_too() -> None:
    reply = new()
    assert spoken(reply, Token("It is")) == []
    assert spoken(reply, Token("It"), 1) == []
    reply = next_life(reply)
    assert spoken(reply, Token("It is so. And", 0), 2) == ["It is so. "]
    reply = next_life(reply)
    assert spoken(reply, Token("It is so. And", 0), 3) == []
    assert spoken(reply, Token(" more.", 1, last=True), 3) == ["And more."]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("It is", "It was so. ", ["It was so. "]),
        ("It is so. And", "It is so. But no. ", ["It is so. ", "It is so. ", "But no. "]),
        ("It is so. And", "No. ", ["It is so. ", "No. "]),
    ],
)
def test_one_that_says_something_else_is_heard_from_its_beginning(before: str, after: str, expected: list[str]) -> None:
    reply = new()
    heard = spoken(reply, Token(before), 0)
    for n, letter in enumerate(after):
        heard += spoken(reply, Token(letter, n), 1)
    heard += spoken(reply, Token(index=len(after), last=True), 1)
    assert heard == expected


def test_another_version_may_cut_the_rest_otherwise() -> None:
    reply = new()
    assert spoken(reply, Token("Whether it is so or not")) == []
    heir = Reply.restored("ann", reply.snapshot(), Clauses("en", hurry=True))
    assert heir.due == ["Whether it is so "]
    assert "".join(spoken(heir, Token(" is not known.", 1, last=True))) == "Whether it is so or not is not known."


def test_of_one_that_is_over_nothing_comes_again() -> None:
    reply = new()
    spoken(reply, Token("It is so.", last=True), 0)
    reply.over = True
    assert not reply.repeats(Token("Another."), 0)
    assert reply.repeats(Token("It is so."), 1)
    assert next_life(reply).repeats(Token("It is so.", last=True), 0)


def test_of_several_clauses_that_are_due_those_are_spoken_that_were_not() -> None:
    reply = new()
    whole = Token("One. Two. Three.", last=True)
    reply.take(whole, 0)
    assert reply.due == ["One. ", "Two. ", "Three."]
    del reply.due[0]
    assert spoken(next_life(reply), whole) == ["Two. ", "Three."]
