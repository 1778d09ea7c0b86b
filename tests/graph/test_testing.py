"""The harness runs nodes as a worker would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from graph.message import Message
from graph.node import Input, Node, Outgoing, Output, Step, Until
from graph.testing import Harness
from nodes.kinds import Text


class Echo(Node):
    words = Input(Text)
    plain = Input(Text)
    coroutine = Input(Text)
    generator = Input(Text)
    out = Output(Text)
    closed = False

    def on_words(self, message: Message[Text]) -> Iterator[Step]:
        self.mark("began", words=len(message.body.text.split()))
        try:
            for word in message.body.text.split():
                yield self.out(Text(word))
                yield Until(self.runtime.now_ns() + 1_000_000)
        finally:
            self.closed = True

    def on_plain(self, message: Message[Text]) -> Outgoing:
        return self.out(message.body, turn=9)

    async def on_coroutine(self, message: Message[Text]) -> Outgoing:
        return self.out(message.body)

    async def on_generator(self, message: Message[Text]) -> AsyncIterator[Step]:
        for word in message.body.text.split():
            yield self.out(Text(word))

    def drain(self) -> Outgoing:
        return self.out(Text("bye"))


@pytest.fixture
def echo() -> Iterator[Harness[Echo]]:
    with Harness(Echo) as made:
        yield made


def said(echo: Harness[Echo]) -> list[str]:
    return [sent.body.text for sent in echo.sent]


@pytest.mark.parametrize("port", ["words", "generator"])
def test_a_generator_says_several_things(echo: Harness[Echo], port: str) -> None:
    echo.feed(port, Text("one two three"))
    assert said(echo) == ["one", "two", "three"]


@pytest.mark.parametrize(("port", "turn"), [("plain", 9), ("coroutine", 4)])
def test_what_is_not_said_is_taken_over_from_the_message(echo: Harness[Echo], port: str, turn: int) -> None:
    [sent] = echo.feed(port, Text("hi"), session="ann", turn=4, revision=2, origin_ns=77)
    assert (sent.session, sent.turn, sent.revision, sent.origin_ns) == ("ann", turn, 2, 77)


def test_waiting_moves_the_clock(echo: Harness[Echo]) -> None:
    echo.feed("words", Text("one two"))
    assert echo.clock_ns == 2_000_000


def test_closing_the_stream_closes_the_handler(echo: Harness[Echo]) -> None:
    stream = echo.stream("words", Text("one two three"))
    next(stream)
    assert not echo.node.closed
    stream.close()  # type: ignore[attr-defined]
    assert echo.node.closed
    assert said(echo) == ["one"]


def test_marks_belong_to_the_turn_being_handled(echo: Harness[Echo]) -> None:
    echo.feed("words", Text("one two"), turn=5)
    [marked] = echo.marks
    assert (marked.mark.name, marked.mark.fields, marked.turn) == ("began", {"words": 2}, 5)


def test_drain_says_what_is_left(echo: Harness[Echo]) -> None:
    echo.drain()
    assert said(echo) == ["bye"]


def test_a_handler_that_returns_something_else_is_told(echo: Harness[Echo]) -> None:
    echo.node.on_plain = lambda message: "hi"  # type: ignore[assignment,method-assign,return-value]
    with pytest.raises(TypeError, match="a handler returned str; it may return a message, yield some, or be async"):
        echo.feed("plain", Text("hi"))


def test_an_unknown_port_is_told(echo: Harness[Echo]) -> None:
    with pytest.raises(KeyError, match="Echo has no input 'wrods'"):
        echo.feed("wrods", Text("hi"))
