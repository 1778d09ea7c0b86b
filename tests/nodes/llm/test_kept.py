"""What a language model's next life knows, when its process has died: no model is needed for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.testing import Harness, Sent
from nodes.causes import BROKE_OFF
from nodes.kinds import Played, ReplyBegins
from nodes.llm.base import Token
from nodes.llm.chat import ChatNode
from nodes.llm.completion import Completion
from nodes.llm.history import ChatMessage
from nodes.marks import REPLY
from nodes.stt.base import TranscriptFinal
from nodes.turn.base import Interrupt


class Parrot(ChatNode):
    """Says what it hears, word by word."""

    def setup(self) -> None:
        """It has no model."""

    def load(self, path: Path) -> None:
        """Neither here."""

    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        for word in messages[-1]["content"].split():
            completion.put({"choices": [{"delta": {"content": f"{word} "}}]})
        completion.put({"choices": [{"delta": {}, "finish_reason": "stop"}]})


@pytest.fixture
def parrot() -> Iterator[Harness[Parrot]]:
    with Harness(Parrot) as made:
        yield made


def asked(parrot: Harness[Parrot], said: str, turn: int, revision: int = 0) -> list[Token]:
    return [one.body for one in parrot.feed("text", TranscriptFinal(said), turn=turn, revision=revision)]


def interrupted(parrot: Harness[Parrot], said: str, turn: int, after: int) -> None:
    """So many of its words are out."""
    steps: Iterator[Sent] = parrot.stream("text", TranscriptFinal(said), turn=turn)
    for _ in range(after):
        next(steps)
    steps.close()  # type: ignore[attr-defined]


def next_life(parrot: Harness[Parrot]) -> Harness[Parrot]:
    made = Harness(Parrot)
    made.node.restore(parrot.kept)
    assert made.kept == parrot.kept, "it may die before anything new has come"
    return made


def known(parrot: Harness[Parrot]) -> list[str]:
    """What a model would be shown of the past."""
    parrot.node._history.begin("default", 99, "And now?")
    return [one["content"] for one in parrot.node._history.messages("default")][:-1]


def test_what_was_said_is_known_to_the_next_life(parrot: Harness[Parrot]) -> None:
    asked(parrot, "one two", 1)
    asked(parrot, "three four", 2)
    assert known(next_life(parrot)) == ["one two", "one two ", "three four", "three four "]


def test_of_a_reply_that_was_interrupted_it_knows_what_was_heard(parrot: Harness[Parrot]) -> None:
    interrupted(parrot, "one two three four", 1, after=3)
    parrot.feed("interrupt", Interrupt("barge-in"), turn=2)
    parrot.feed("played", ReplyBegins(), turn=1)
    parrot.feed("played", Played("one two", 9, interrupted=True), turn=1)
    assert known(next_life(parrot)) == ["one two three four", "one two…"]


def test_what_was_withdrawn_does_not_come_back(parrot: Harness[Parrot]) -> None:
    asked(parrot, "one two", 1)
    asked(parrot, "three", 2)
    parrot.feed("interrupt", Interrupt("goes on"), turn=2, revision=1)
    heir = next_life(parrot)
    assert asked(heir, "three four", 2, 1)[0] == Token("three ")
    assert known(heir) == ["one two", "one two ", "three four", "three four "]


def test_what_broke_off_is_remembered_so_far_also_where_its_beginning_was_heard_from_a_former_life(
    parrot: Harness[Parrot],
) -> None:
    asked(parrot, "one two", 1)
    parrot.feed("played", ReplyBegins(), turn=1)
    heir = next_life(parrot)
    heir.feed("interrupt", Interrupt("failed"), turn=1, revision=1)
    heir.feed("played", Played("one", 9, cause=BROKE_OFF), turn=1)
    assert known(heir) == ["one two", "one…"]


def test_who_is_asked_again_says_the_same_and_thinks_only_where_nothing_whole_is_known(parrot: Harness[Parrot]) -> None:
    asked(parrot, "one two", 1)
    heir = next_life(parrot)
    assert asked(heir, "one two", 1) == [Token("one two "), Token(index=1, last=True)]
    assert [m for m in heir.marks if m.mark.name == REPLY] == []
    assert known(heir) == ["one two", "one two "]


def test_a_reply_that_was_being_written_is_written_anew(parrot: Harness[Parrot]) -> None:
    asked(parrot, "zero", 1)
    steps = parrot.stream("text", TranscriptFinal("one two"), turn=2)
    next(steps)
    heir = next_life(parrot)
    steps.close()  # type: ignore[attr-defined]
    assert [one.text for one in asked(heir, "one two", 2)] == ["one ", "two ", ""]
    assert known(heir) == ["zero", "zero ", "one two", "one two "]
