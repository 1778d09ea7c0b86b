"""Which session's next prompt is evaluated when: histories of events, without a model."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from nodes.llm.ahead import SESSIONS_WAITING, Ahead

BATCHES = 3


class Engine:
    """Takes three steps for every prompt, and writes down what came of it."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.given_up: list[tuple[str, str]] = []
        self.ahead = Ahead(self.evaluate)

    def evaluate(self, session: str, said: str) -> Generator[None]:
        try:
            for _ in range(BATCHES):
                yield
        except GeneratorExit:
            self.given_up.append((session, said))
            raise
        self.done.append((session, said))

    def rest(self) -> None:
        """There is nothing else to do for long."""
        while self.ahead.waits:
            self.ahead.go_on()


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_words_are_evaluated_once(engine: Engine) -> None:
    for said in ("How", "How", "How many"):
        engine.ahead.words("ann", said)
        engine.rest()
    assert engine.done == [("ann", "How"), ("ann", "How many")]


def test_words_that_come_meanwhile_are_next(engine: Engine) -> None:
    engine.ahead.words("ann", "How")
    engine.ahead.go_on()
    engine.ahead.words("ann", "How")
    engine.ahead.words("ann", "How many")
    engine.rest()
    assert engine.done == [("ann", "How"), ("ann", "How many")]
    assert engine.given_up == []


def test_the_prompt_itself_goes_first(engine: Engine) -> None:
    engine.ahead.words("ann", "How many")
    engine.ahead.go_on()
    engine.ahead.asked("ann")
    assert engine.given_up == [("ann", "How many")]
    assert not engine.ahead.waits


def test_another_session_waits_while_one_is_answered(engine: Engine) -> None:
    engine.ahead.words("ann", "How many")
    engine.ahead.go_on()
    engine.ahead.asked("bob")
    assert engine.given_up == [("ann", "How many")]
    engine.rest()
    assert engine.done == [("ann", "How many")]


def test_the_newest_is_evaluated_last(engine: Engine) -> None:
    engine.ahead.words("ann", "How")
    engine.ahead.changed("bob")
    engine.ahead.words("ann", "How many")
    engine.rest()
    assert engine.done == [("bob", ""), ("ann", "How many")]


def test_words_outlast_a_change_of_the_history(engine: Engine) -> None:
    engine.ahead.words("ann", "How many")
    engine.ahead.changed("ann")
    engine.rest()
    assert engine.done == [("ann", "How many")]


def test_what_is_evaluated_of_another_history_is_given_up(engine: Engine) -> None:
    engine.ahead.words("ann", "How many")
    engine.ahead.go_on()
    engine.ahead.changed("ann")
    assert engine.given_up == [("ann", "How many")]
    engine.rest()
    engine.ahead.changed("ann")
    engine.rest()
    assert engine.done == [("ann", "How many"), ("ann", "")]


def test_a_change_in_one_session_does_not_stop_another(engine: Engine) -> None:
    engine.ahead.words("ann", "How many")
    engine.ahead.go_on()
    engine.ahead.changed("bob")
    engine.rest()
    assert engine.done == [("ann", "How many"), ("bob", "")]
    assert engine.given_up == []


def test_so_many_sessions_wait_and_no_more(engine: Engine) -> None:
    for n in range(SESSIONS_WAITING + 1):
        engine.ahead.changed(str(n))
    engine.rest()
    assert engine.done == [(str(n), "") for n in range(1, SESSIONS_WAITING + 1)]
