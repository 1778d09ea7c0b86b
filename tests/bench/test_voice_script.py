"""When the next question is asked."""

from __future__ import annotations

from bench.voice.script import FRAME_NS, PATIENCE_NS, PAUSE_NS, QUIET_NS, SILENCE, Floor, frames

S = 1_000_000_000
LOUD = b"\x01" * len(SILENCE)
SOUNDS = [LOUD * 50, LOUD * 50]  # a second each


def asked_at(floors: dict[int, Floor]) -> list[int]:
    """When each question began, in ns; `floors` by the time from which they hold."""
    now_ns, at = 0, []

    def floor() -> Floor:
        return next((floors[since] for since in sorted(floors, reverse=True) if since <= now_ns), Floor())

    for due_ns, _ in frames(SOUNDS, 0, floor, lambda number, at_ns: at.append(at_ns)):
        now_ns = due_ns
    return at


def test_every_frame_has_its_time() -> None:
    heard = list(frames(SOUNDS, 5 * S, Floor, lambda number, at_ns: None))
    assert [due for due, _ in heard] == [5 * S + (k + 1) * FRAME_NS for k in range(len(heard))]
    assert sum(sound == LOUD for _, sound in heard) == 100


def test_the_next_question_comes_a_pause_after_the_reply() -> None:
    replied = {3 * S: Floor(3 * S, 0), 15 * S: Floor(3 * S, 15 * S)}  # for longer than the patience
    assert asked_at(replied) == [QUIET_NS, 15 * S + PAUSE_NS]


def test_where_no_reply_comes_patience_ends() -> None:
    assert asked_at({}) == [QUIET_NS, QUIET_NS + S + PATIENCE_NS]


def test_a_reply_that_was_interrupted_by_the_question_is_not_its_last() -> None:
    interrupted = {0: Floor(S + S // 2, S + 3 * S // 4)}
    assert asked_at(interrupted) == [QUIET_NS, QUIET_NS + S + PATIENCE_NS]


def test_another_rule_may_say_when_the_next_comes() -> None:
    at: list[int] = []
    for _ in frames(SOUNDS, 0, Floor, lambda number, at_ns: at.append(at_ns), lambda number, now, asked, spoken, floor: True):
        pass
    assert at == [QUIET_NS, QUIET_NS + S]
