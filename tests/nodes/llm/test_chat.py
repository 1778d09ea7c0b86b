"""The contract of the language model nodes, on a real model and on every engine that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import pytest

from graph.errors import NodeError
from graph.message import Message
from graph.testing import Harness, Marked, Sent
from nodes.causes import BROKE_OFF, MODEL_FAILED, NOT_UNDERSTOOD
from nodes.kinds import Played, ReplyBegins, Text
from nodes.llm.base import Token
from nodes.llm.chat import ChatNode
from nodes.llm.llama_cpp import LlamaCpp
from nodes.llm.llama_cpp_python import LlamaCppPython
from nodes.marks import FIRST_TOKEN, REPLY
from nodes.stt.base import TranscriptFinal
from nodes.turn.base import Interrupt

pytestmark = pytest.mark.models

ENGINES = [
    LlamaCpp,
    pytest.param(
        LlamaCppPython,
        marks=pytest.mark.skipif(find_spec("llama_cpp") is None, reason="needs voicegraph[llama-cpp-python]"),
    ),
]


class Chat:
    """A conversation with one node, each test in a session of its own."""

    def __init__(self, harness: Harness[ChatNode], session: str = "default") -> None:
        self.harness = harness
        self.session = session
        self.turn = 0

    def tokens(self, said: str) -> Iterator[Sent]:
        self.turn += 1
        return self.harness.stream("text", TranscriptFinal(text=said), session=self.session, turn=self.turn)

    def ask(self, said: str) -> str:
        return "".join(sent.body.text for sent in self.tokens(said))

    def mark(self, name: str) -> dict[str, Any]:
        """The fields of the newest mark of this session."""
        return self.marks(name)[-1].mark.fields

    def marks(self, name: str) -> list[Marked]:
        return [m for m in self.harness.marks if m.mark.name == name and m.session == self.session]

    def shown(self) -> list[str]:
        """What the model was shown of the conversation in the last turn."""
        return [m["content"] for m in self.harness.node._history.messages(self.session)]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> type[ChatNode]:
    return request.param


@pytest.fixture(scope="module")
def loaded(engine: type[ChatNode]) -> Iterator[Harness[ChatNode]]:
    with Harness(engine, threads=1, max_tokens=16) as harness:
        yield harness


@pytest.fixture
def chat(loaded: Harness[ChatNode], request: pytest.FixtureRequest) -> Chat:
    loaded.warnings.clear()
    return Chat(loaded, request.node.name)


def test_everyday_questions_get_one_short_answer_each(chat: Chat) -> None:
    for question, answer in [
        ("How many days are there in a week?", "7 days"),
        ("If it rains tomorrow, what should I wear?", "raincoat"),
        ("What is the largest animal in the ocean?", "blue whale"),
    ]:
        reply = chat.ask(question)
        assert answer in reply
        assert reply.endswith(".")
        assert len(reply.split()) <= 20


def test_a_reply_is_streamed_piece_by_piece_and_closed(chat: Chat) -> None:
    sent = [one.body for one in chat.tokens("What is the capital of France?")]
    assert [token.index for token in sent] == list(range(len(sent)))
    assert [token.last for token in sent] == [False] * (len(sent) - 1) + [True]
    assert len(sent) > 4
    reply = "".join(token.text for token in sent)
    assert "Paris" in reply
    assert chat.mark(REPLY) == {"text": reply, "tokens": len(sent) - 1, "finish_reason": "stop", "wasted_tokens": 0}
    assert len(chat.marks(FIRST_TOKEN)) == 1


def test_the_same_question_gets_the_same_reply(chat: Chat, loaded: Harness[ChatNode]) -> None:
    question = "Why is the sky blue?"
    assert chat.ask(question) == Chat(loaded, "another").ask(question)


def test_a_reply_ends_at_the_limit(chat: Chat) -> None:
    chat.ask("Tell me a very long story about a dragon, with every detail.")
    assert chat.mark(REPLY)["finish_reason"] == "length"
    assert chat.mark(REPLY)["tokens"] == 16


def test_nothing_said_gets_no_reply_and_ends_the_turn(chat: Chat) -> None:
    assert [one.body for one in chat.tokens(" ")] == [Token(last=True, cause=NOT_UNDERSTOOD)]
    assert chat.marks(REPLY) == []


def test_characters_of_several_tokens_come_whole(chat: Chat) -> None:
    reply = chat.ask("Repeat exactly: 😀🎉🚀 日本語 ñ")
    assert max(map(ord, reply)) > 0xFFFF
    assert "\N{REPLACEMENT CHARACTER}" not in reply


def test_an_interruption_ends_the_reply_at_once_and_the_next_turn_answers(chat: Chat) -> None:
    reply = chat.tokens("Tell me a very long story about a dragon.")
    heard = "".join(next(reply).body.text for _ in range(4))
    sent = len(chat.harness.sent)
    reply.close()
    assert len(chat.harness.sent) == sent
    assert chat.marks(REPLY) == []
    assert chat.ask("How many legs has a dog?")
    assert chat.mark(REPLY)["finish_reason"] == "stop"
    assert chat.shown()[:2] == ["Tell me a very long story about a dragon.", heard + "…"]


def test_an_interruption_during_the_prompt_ends_its_evaluation(chat: Chat, loaded: Harness[ChatNode]) -> None:
    long_question = " ".join(f"My friend number {n} likes dogs." for n in range(40)) + " How many friends have I?"
    handler = loaded.node.on_text(Message(Text(text=long_question), session=chat.session, turn=1))
    assert next(handler) is None
    handler.close()
    with closing(loaded.node._complete([{"role": "user", "content": long_question}])) as updates:
        prompt = next(update for update in updates if update.prompt_tokens)
    assert prompt.cached_tokens < prompt.prompt_tokens / 2  # what was evaluated of it before
    assert chat.ask("Hello.")  # turn 1 again, as a revision comes
    assert chat.shown() == ["Hello."]


def test_what_was_written_in_vain_is_counted(chat: Chat, loaded: Harness[ChatNode]) -> None:
    for revision in (0, 1):
        steps = loaded.stream("text", TranscriptFinal("Count to ten."), session=chat.session, turn=1, revision=revision)
        if revision == 0:
            assert [next(steps).body.index for _ in range(3)] == [0, 1, 2]
            steps.close()  # type: ignore[attr-defined]
        else:
            list(steps)
    assert chat.mark(REPLY)["wasted_tokens"] == 3


def test_of_a_reply_that_broke_off_only_what_was_heard_is_remembered(chat: Chat, loaded: Harness[ChatNode]) -> None:
    chat.ask("What is the capital of France?")
    loaded.feed("played", ReplyBegins(), session=chat.session, turn=1)
    loaded.feed("played", Played("The capital", 9, cause=BROKE_OFF), session=chat.session, turn=1)
    loaded.feed("interrupt", Interrupt("failed"), session=chat.session, turn=1, revision=1)
    chat.ask("And of Italy?")
    assert chat.shown()[1] == "The capital…"


def test_what_was_said_before_is_known(chat: Chat) -> None:
    first = chat.ask("My favourite fruit is mango.")
    assert "mango" in chat.ask("What is my favourite fruit?")
    assert chat.shown() == ["My favourite fruit is mango.", first, "What is my favourite fruit?"]


def test_a_second_turn_evaluates_only_what_is_new(chat: Chat) -> None:
    chat.ask("What is the capital of France?")
    first = chat.mark(FIRST_TOKEN)
    assert first["cached_tokens"] > 15  # the system prompt
    chat.ask("What is the capital of Italy?")
    assert chat.mark(FIRST_TOKEN)["cached_tokens"] >= first["prompt_tokens"]


def test_sessions_that_alternate_do_not_mix(chat: Chat, loaded: Harness[ChatNode]) -> None:
    other = Chat(loaded, "the other")
    chat.ask("My name is Ann.")
    other.ask("My name is Bob.")
    assert "Bob" not in chat.ask("What is my name?")
    assert "Ann" not in other.ask("What is my name?")
    assert not any("Bob" in text for text in chat.shown())
    assert not any("Ann" in text for text in other.shown())


def test_a_chat_that_outgrows_the_context_forgets_its_oldest_turns(engine: type[ChatNode]) -> None:
    with Harness(engine, threads=1, context_size=256, max_tokens=8, batch_size=64) as harness:
        chat = Chat(harness)
        for n in (1, 2):
            assert chat.ask(f"Friend number {n} " + "likes dogs and cats and birds, " * 16 + "what does he like?")
            assert chat.mark(FIRST_TOKEN)["prompt_tokens"] + 8 <= 256
        assert harness.warnings == []
        before = chat.shown()
        assert before[0].startswith("Friend number 2")

        (failed,) = [one.body for one in chat.tokens("dogs " * 400)]
        assert failed.last
        assert failed.cause.startswith(f"{MODEL_FAILED}: ")
        assert len(harness.warnings) == 1
        assert harness.warnings[0].startswith("no reply in turn 3 of session 'default': ")
        assert "256" in harness.warnings[0]
        assert chat.mark(REPLY)["finish_reason"] == "error"

        assert chat.ask("What does he like?")
        assert before[-1] in chat.shown()


def test_a_system_prompt_that_fills_the_context_is_refused_at_the_start(engine: type[ChatNode]) -> None:
    with pytest.raises(NodeError, match=r"^model 'smollm2-135m' does not answer: .*256"):
        Harness(engine, threads=1, context_size=256, system="be brief " * 300)
