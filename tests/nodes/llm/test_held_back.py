"""A model that is told of turns (`turn`) answers nothing before its turn is confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.testing import Harness, Sent
from nodes.causes import NOT_UNDERSTOOD
from nodes.kinds import Text
from nodes.llm.base import Token
from nodes.llm.chat import ChatNode
from nodes.llm.completion import Completion
from nodes.llm.history import ChatMessage
from nodes.marks import FIRST_TOKEN, REPLY
from nodes.stt.base import TranscriptFinal
from nodes.turn.base import Interrupt, TurnConfirmed, TurnDismissed, TurnPending

CONFIRMED = TurnConfirmed(0.9, 400, "judge")


class Parrot(ChatNode):
    """Says what was said, in two pieces."""

    def load(self, path: Path) -> None:
        """It has no model."""

    def setup(self) -> None:
        """It has no model."""

    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        for piece in ("You said: ", messages[-1]["content"]):
            completion.put({"choices": [{"delta": {"content": piece}}]})
        completion.put({"choices": [{"delta": {}, "finish_reason": "stop"}]})


@pytest.fixture
def parrot() -> Iterator[Harness[Parrot]]:
    with Harness(Parrot, inputs={"turn"}) as made:
        yield made


def reply(sent: list[Sent]) -> str:
    return "".join(one.body.text for one in sent)


def say(parrot: Harness[Parrot], text: str, turn: int = 1, revision: int = 0, session: str = "ann") -> str:
    return reply(parrot.feed("text", TranscriptFinal(text), turn=turn, revision=revision, session=session))


def confirm(parrot: Harness[Parrot], turn: int = 1, revision: int = 0, session: str = "ann") -> str:
    return reply(parrot.feed("turn", CONFIRMED, turn=turn, revision=revision, session=session))


def history(parrot: Harness[Parrot], session: str = "ann") -> list[str]:
    return [one["content"] for one in parrot.node._history.messages(session)]


def test_a_transcript_waits_for_its_turn(parrot: Harness[Parrot]) -> None:
    assert say(parrot, "Hello.") == ""
    assert parrot.node.in_turn() == ["ann"]
    assert parrot.feed("turn", TurnPending(0.2, 400), turn=1, session="ann") == []
    assert parrot.marks == []
    sent = parrot.feed("turn", CONFIRMED, turn=1, session="ann")
    assert reply(sent) == "You said: Hello."
    assert {(one.session, one.turn, one.revision) for one in sent} == {("ann", 1, 0)}
    assert [(one.mark.name, one.session, one.turn) for one in parrot.marks] == [(FIRST_TOKEN, "ann", 1), (REPLY, "ann", 1)]
    assert parrot.node.in_turn() == []


def test_a_turn_may_be_confirmed_before_its_transcript_comes(parrot: Harness[Parrot]) -> None:
    assert confirm(parrot) == ""
    assert say(parrot, "Hello.") == "You said: Hello."


def test_of_what_was_withdrawn_no_token_is_written_and_nothing_is_known(parrot: Harness[Parrot]) -> None:
    say(parrot, "What is the largest, um")
    parrot.feed("interrupt", Interrupt("goes on"), turn=1, revision=1, session="ann")
    say(parrot, "What is the largest, um, no, the smallest?", revision=1)
    assert confirm(parrot, revision=1) == "You said: What is the largest, um, no, the smallest?"
    assert history(parrot) == ["What is the largest, um, no, the smallest?"]
    assert [one.mark.fields["wasted_tokens"] for one in parrot.marks if one.mark.name == REPLY] == [0]


def test_what_was_dismissed_is_never_answered(parrot: Harness[Parrot]) -> None:
    say(parrot, "mm-hm", turn=2)
    parrot.feed("turn", TurnDismissed(), turn=1, session="ann")
    assert confirm(parrot, turn=2) == ""


def test_a_text_of_no_turn_is_answered_at_once(parrot: Harness[Parrot]) -> None:
    assert reply(parrot.feed("text", Text("Welcome."), session="ann")) == "You said: Welcome."


def test_where_nothing_was_understood_the_turn_ends_when_it_is_confirmed(parrot: Harness[Parrot]) -> None:
    say(parrot, "")
    sent = parrot.feed("turn", CONFIRMED, turn=1, session="ann")
    assert [one.body for one in sent] == [Token(last=True, cause=NOT_UNDERSTOOD)]


def test_sessions_wait_for_their_own_turns(parrot: Harness[Parrot]) -> None:
    say(parrot, "I am Ann.")
    say(parrot, "I am Bob.", session="bob")
    assert confirm(parrot, session="bob") == "You said: I am Bob."
    assert confirm(parrot) == "You said: I am Ann."


def test_not_linked_it_works_ahead_and_what_was_in_vain_is_counted() -> None:
    with Harness(Parrot) as parrot:
        assert say(parrot, "Hello") == "You said: Hello"
        say(parrot, "Hello, you.", revision=1)
        assert [one.mark.fields["wasted_tokens"] for one in parrot.marks if one.mark.name == REPLY] == [0, 2]


def test_started_again_it_answers_what_was_said_before(parrot: Harness[Parrot]) -> None:
    with Harness(Parrot, clock_ns=1000, inputs={"turn"}) as next_life:
        sent = next_life.feed("text", TranscriptFinal("Hello."), turn=4, origin_ns=500)
        assert reply(sent) == "You said: Hello."
        assert next_life.feed("text", TranscriptFinal("And now?"), turn=5, origin_ns=1500) == []


def test_a_successor_knows_what_was_said_and_what_was_confirmed(parrot: Harness[Parrot]) -> None:
    say(parrot, "Hello.")
    confirm(parrot)
    confirm(parrot, turn=2)
    confirm(parrot, session="bob")
    with Harness(Parrot, inputs={"turn"}) as successor:
        successor.node.restore(parrot.node.snapshot())
        assert say(successor, "Again.", turn=2) == "You said: Again."
        assert say(successor, "I am new.", session="bob") == "You said: I am new."
        assert history(successor) == ["Hello.", "You said: Hello.", "Again."]
        assert say(successor, "Once more.", turn=3) == ""
