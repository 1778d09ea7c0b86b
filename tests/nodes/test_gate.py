"""What is held back until its turn is confirmed, as histories of events."""

from __future__ import annotations

import pytest

from graph.message import Kind, Message
from nodes.gate import MOST_WAITING, SESSIONS_REMEMBERED, Gate
from nodes.kinds import Text
from nodes.turn.base import Interrupt, TurnConfirmed, TurnDismissed, TurnFailed, TurnOnTrial, TurnPending

PENDING, CONFIRMED, FAILED = TurnPending(0.3, 400), TurnConfirmed(0.9, 400, "judge"), TurnFailed("no")
TRIAL, DISMISSED, WITHDRAWN = TurnOnTrial(), TurnDismissed(), Interrupt("goes on")


def text(word: str) -> Text:
    return Text(text=word)


def seen(gate: Gate, body: Kind, turn: int, revision: int = 0, session: str = "ann", origin_ns: int = 0) -> str:
    """What goes on because of this."""
    message = Message(body, session=session, turn=turn, revision=revision, origin_ns=origin_ns)
    if isinstance(body, Interrupt):
        gate.withdraw(session, turn, revision)
        return ""
    if isinstance(body, Text):
        return body.text if gate.passes(message) else ""
    return " ".join(one.body.text for one in gate.told(message))


HISTORIES: dict[str, list[tuple[Kind, int, int, str]]] = {
    "what comes early waits for its turn": [
        (text("a"), 1, 0, ""),
        (PENDING, 1, 0, ""),
        (text("b"), 1, 0, ""),
        (CONFIRMED, 1, 0, "a b"),
        (text("c"), 1, 0, "c"),
    ],
    "what comes late passes": [(CONFIRMED, 1, 0, ""), (text("a"), 1, 0, "a")],
    "what is released once is not released again": [(text("a"), 1, 0, ""), (CONFIRMED, 1, 0, "a"), (CONFIRMED, 1, 0, "")],
    "what was withdrawn is never seen": [
        (text("a"), 1, 0, ""),
        (WITHDRAWN, 1, 1, ""),
        (text("b"), 1, 1, ""),
        (CONFIRMED, 1, 1, "b"),
    ],
    "nor is it where nobody tells of interruptions": [(text("a"), 1, 0, ""), (text("b"), 1, 1, ""), (CONFIRMED, 1, 1, "b")],
    "a turn that is taken up again is held back again": [
        (CONFIRMED, 1, 0, ""),
        (text("a"), 1, 1, ""),
        (CONFIRMED, 1, 1, "a"),
    ],
    "an older turn passes, a newer one waits": [
        (CONFIRMED, 2, 0, ""),
        (text("a"), 1, 0, "a"),
        (text("b"), 3, 0, ""),
        (CONFIRMED, 2, 0, ""),
        (CONFIRMED, 3, 0, "b"),
    ],
    "what was said on trial and dismissed is never seen": [
        (CONFIRMED, 1, 0, ""),
        (TRIAL, 2, 0, ""),
        (text("a"), 2, 0, ""),
        (DISMISSED, 1, 0, ""),
        (text("b"), 2, 1, ""),
        (CONFIRMED, 2, 0, ""),
        (CONFIRMED, 2, 1, "b"),
    ],
    "an apology is said where a turn has failed": [
        (CONFIRMED, 1, 0, ""),
        (text("sorry"), 1, 1, ""),
        (FAILED, 1, 1, "sorry"),
        (text("really"), 1, 1, "really"),
    ],
    "what is of no turn passes": [(text("hello"), 0, 0, "hello"), (text("a"), 1, 0, ""), (text("hello"), 0, 0, "hello")],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_histories(history: list[tuple[Kind, int, int, str]]) -> None:
    gate = Gate()
    assert [seen(gate, body, turn, revision) for body, turn, revision, _ in history] == [then for *_, then in history]


def test_sessions_do_not_disturb_each_other() -> None:
    gate = Gate()
    for session in ("ann", "bob"):
        assert seen(gate, text(session), 1, session=session) == ""
    seen(gate, WITHDRAWN, 2, session="ann")
    assert gate.waiting == ["bob"]
    assert seen(gate, CONFIRMED, 1, session="ann") == ""
    assert seen(gate, CONFIRMED, 1, session="bob") == "bob"
    assert gate.waiting == []


def test_whoever_came_later_lets_through_what_may_have_been_confirmed_before() -> None:
    gate = Gate(since_ns=1000)
    assert seen(gate, text("a"), 3, origin_ns=999) == "a"
    assert seen(gate, text("b"), 4, origin_ns=1000) == ""
    assert seen(gate, text("c"), 4) == "", "nobody knows when it was said"
    assert seen(Gate(), text("d"), 1, origin_ns=999) == ""


def test_a_successor_knows_what_was_confirmed() -> None:
    gate, successor = Gate(), Gate()
    seen(gate, CONFIRMED, 2, 1)
    successor.restore({name: list(turn) for name, turn in gate.snapshot().items()})  # as MessagePack carries it
    assert seen(successor, text("a"), 2, 1) == "a"
    assert seen(successor, text("b"), 3) == ""


def test_what_waits_is_bounded() -> None:
    gate = Gate()
    for number in range(SESSIONS_REMEMBERED + 1):
        seen(gate, text("a"), 1, session=str(number))
    assert len(gate.waiting) == SESSIONS_REMEMBERED
    assert seen(gate, CONFIRMED, 1, session="0") == ""
    assert seen(gate, CONFIRMED, 1, session="1000") == "a"
    for number in range(MOST_WAITING + 1):
        seen(gate, text(str(number)), 1)
    released = seen(gate, CONFIRMED, 1).split()
    assert (len(released), released[0]) == (MOST_WAITING, "1")
