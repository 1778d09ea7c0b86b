"""What is evaluated ahead of a turn, on a real model: the counts of cached tokens tell, not the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graph.testing import Harness
from nodes.causes import BROKE_OFF
from nodes.kinds import Played, TranscriptPartial
from nodes.llm.chat import ChatNode
from nodes.llm.llama_cpp import LlamaCpp
from nodes.marks import FIRST_TOKEN
from tests.nodes.llm.test_chat import ENGINES, Chat

pytestmark = pytest.mark.models

SO_FAR = (
    "Yesterday I walked home along the river, where I met an old friend of my brother, and he told me that he has bought a"
    " small boat and wants to sail with it to the sea next summer, with his two daughters and a dog"
)
QUESTION = SO_FAR + " that cannot swim. What should he take along?"
END = 16  # tokens: the words of the question that are new then, and what the template has after them
STOP = 8  # tokens: "Stop." and what the template has after it


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> type[ChatNode]:
    return request.param


@pytest.fixture(scope="module")
def loaded(engine: type[ChatNode]) -> Iterator[Harness[ChatNode]]:
    with Harness(engine, threads=1, max_tokens=12, history_turns=2) as harness:
        yield harness


@pytest.fixture
def chat(loaded: Harness[ChatNode], request: pytest.FixtureRequest) -> Chat:
    loaded.due()
    loaded.sent.clear()
    loaded.marks.clear()
    return Chat(loaded, request.node.name)


def evaluated(chat: Chat) -> int:
    """So many tokens of the last prompt were not there already."""
    first = chat.mark(FIRST_TOKEN)
    return int(first["prompt_tokens"] - first["cached_tokens"])


def hear(chat: Chat, said: str) -> None:
    """The user has said so much, and goes on."""
    chat.harness.feed("partial", TranscriptPartial(said), session=chat.session)


def played(chat: Chat, text: str = "", **how: object) -> None:
    chat.harness.feed("played", Played(text, 9, **how), session=chat.session, turn=chat.turn)


def test_what_the_user_has_said_is_evaluated_while_he_speaks(chat: Chat, engine: type[ChatNode]) -> None:
    for words in (8, 20, 100):
        hear(chat, " ".join(SO_FAR.split()[:words]))
        chat.harness.due()
    reply = chat.ask(QUESTION)
    assert evaluated(chat) <= END
    with Harness(engine, threads=1, max_tokens=12) as harness:
        without = Chat(harness)
        assert without.ask(QUESTION) == reply
        assert evaluated(without) > 45


def test_nothing_is_said_marked_or_remembered_of_it(chat: Chat) -> None:
    chat.ask("What is the capital of France?")
    before, sent, marks = chat.harness.node.snapshot(), len(chat.harness.sent), len(chat.harness.marks)
    hear(chat, SO_FAR)
    assert chat.harness.due() == []
    assert chat.harness.node.snapshot() == before
    assert (len(chat.harness.sent), len(chat.harness.marks)) == (sent, marks)


def test_the_question_does_not_wait_for_it(chat: Chat) -> None:
    long = " ".join(f"My friend number {n} likes dogs." for n in range(24))
    hear(chat, long)
    chat.harness.node.on_due()
    assert chat.harness.node.due_ns
    assert chat.ask(long + " How many friends have I?")
    assert evaluated(chat) > chat.mark(FIRST_TOKEN)["prompt_tokens"] / 2
    assert not chat.harness.node.due_ns


def test_one_session_is_answered_while_another_speaks(chat: Chat, loaded: Harness[ChatNode]) -> None:
    question = "What is the largest animal in the ocean?"
    undisturbed = Chat(loaded, "undisturbed").ask(question)
    hear(chat, SO_FAR)
    loaded.node.on_due()
    assert Chat(loaded, "meanwhile").ask(question) == undisturbed
    loaded.due()
    chat.ask(QUESTION)
    assert evaluated(chat) <= END


def test_after_an_interruption_the_history_is_evaluated_as_it_was_heard(chat: Chat) -> None:
    for question in ("Name three fruits.", "Name three animals."):
        chat.ask(question)
    played(chat, "The three", interrupted=True)
    chat.harness.due()
    chat.ask("Stop.")
    assert chat.shown()[3] == "The three…"
    assert evaluated(chat) <= STOP


def test_a_reply_that_broke_off_is_one_that_was_interrupted(chat: Chat) -> None:
    chat.ask("Name three fruits.")
    played(chat, "The three", cause=BROKE_OFF)
    assert chat.harness.node.due_ns


def test_when_the_oldest_turn_is_forgotten_the_others_are_evaluated_in_their_new_place(chat: Chat) -> None:
    for colour in ("red", "blue", "green"):
        chat.ask(f"My friend likes the colour {colour} best, what does that say about him?")
    played(chat)
    chat.harness.due()
    chat.ask("Stop.")
    assert "red" not in chat.shown()[0]
    assert evaluated(chat) <= STOP


def test_where_the_next_prompt_goes_on_as_the_last_one_did_nothing_is_done(chat: Chat) -> None:
    chat.ask("What is the capital of France?")
    played(chat)
    assert not chat.harness.node.due_ns


def test_a_successor_evaluates_what_was_said_before(chat: Chat, loaded: Harness[ChatNode]) -> None:
    for question in ("Name three fruits.", "Name three animals."):
        chat.ask(question)
    state = {chat.session: loaded.node.snapshot()[chat.session]}
    loaded.node.on_due()
    Chat(loaded, "in between").ask(QUESTION)
    loaded.node.restore(state)
    loaded.due()
    chat.ask("Stop.")
    assert evaluated(chat) <= STOP


def test_a_past_that_does_not_fit_is_left_out_as_it_will_be(engine: type[ChatNode]) -> None:
    with Harness(engine, threads=1, context_size=256, max_tokens=8, batch_size=64) as harness:
        chat = Chat(harness)
        for n in (1, 2):
            chat.ask(f"Friend number {n} " + "likes dogs and cats and birds, " * 12)
        before = harness.node.snapshot()
        hear(chat, "What does " + "he really " * 20)
        harness.due()
        assert harness.node.snapshot() == before
        chat.ask("What does " + "he really " * 20 + "like?")
        assert chat.shown()[0].startswith("Friend number 2")
        assert evaluated(chat) <= END

        hear(chat, "dogs " * 400)
        harness.due()
        assert harness.warnings == []


@pytest.mark.parametrize(
    ("config", "why"),
    [({"prefill": False}, "prefill is off"), ({"cache_prompt": False}, "evaluated prompts are not kept")],
)
def test_who_connects_partials_in_vain_is_told(config: dict[str, bool], why: str) -> None:
    with Harness(LlamaCpp, threads=1, inputs={"partial"}, **config) as harness:
        assert harness.warnings == [f"input 'partial' is of no use: {why}"]
        harness.feed("partial", TranscriptPartial("How many"))
        assert not harness.node.due_ns
