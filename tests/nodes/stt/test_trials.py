from __future__ import annotations

from graph.message import Message
from nodes.stt.trials import SESSIONS_REMEMBERED, Trials
from nodes.turn.base import Utterance


def utterance(turn: int, revision: int = 0, session: str = "ann") -> Message[Utterance]:
    return Message(Utterance(0), turn=turn, revision=revision, session=session)


def test_what_was_understood_on_trial_is_there_once() -> None:
    trials: Trials[str] = Trials()
    trials.keep(utterance(2), "stop")
    assert trials.take(utterance(2)) == "stop"
    assert trials.take(utterance(2)) is None


def test_another_turn_revision_or_session_said_something_else() -> None:
    trials: Trials[str] = Trials()
    trials.keep(utterance(2, 1), "stop")
    for other in (utterance(2), utterance(3, 1), utterance(2, 1, "bob")):
        assert trials.take(other) is None
    trials.keep(utterance(2, 2), "stop it")
    assert trials.take(utterance(2, 1)) is None
    assert trials.take(utterance(2, 2)) == "stop it"


def test_of_too_many_sessions_the_oldest_is_transcribed_again() -> None:
    trials: Trials[int] = Trials()
    for number in range(SESSIONS_REMEMBERED + 1):
        trials.keep(utterance(1, session=str(number)), number)
    assert trials.take(utterance(1, session="0")) is None
    assert trials.take(utterance(1, session="1")) == 1
