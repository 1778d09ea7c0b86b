from __future__ import annotations

from graph.message import Message
from nodes.kinds import Text
from nodes.spent import SESSIONS_REMEMBERED, Spent


def about(turn: int, revision: int = 0, session: str = "ann") -> Message[Text]:
    return Message(Text(""), turn=turn, revision=revision, session=session)


def test_what_went_into_other_revisions_of_a_turn_was_in_vain() -> None:
    spent = Spent()
    for message, amount in ((about(1), 10), (about(1, 1), 5), (about(1, 2), 7), (about(1, 2), 1)):
        spent.add(message, amount)
    assert [spent.in_vain(about(1, revision)) for revision in (1, 2, 3)] == [18, 15, 23]
    assert spent.in_vain(about(2)) == spent.in_vain(about(1, 2, "bob")) == 0
    spent.add(about(2), 3)
    assert spent.in_vain(about(2, 1)) == 3


def test_of_too_many_sessions_the_oldest_is_forgotten() -> None:
    spent = Spent()
    for number in range(SESSIONS_REMEMBERED + 1):
        spent.add(about(1, session=str(number)), 1)
    assert spent.in_vain(about(1, 1, "0")) == 0
    assert spent.in_vain(about(1, 1, "1")) == 1
