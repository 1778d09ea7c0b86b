"""What the user of a scenario does, frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.scenarios.steps import When
from nodes.scenario.base import Cue
from nodes.scenario.track import STILL_AFTER_S, Habits, Part, Track

FRAME = 1600  # samples: a tenth of a second
ROOM = np.zeros(16_000, np.int16)


def sound(tenths: int, value: int = 1) -> Any:
    return np.full(FRAME * tenths, value, np.int16)


def when(**moment: str) -> When:
    return When.model_validate(moment)


def track(*parts: Part, listen: float = 0.3, patience: float = 1, realtime: bool = True) -> Track:
    return Track(parts, Habits(listen, patience, realtime), ROOM)


def act(one: Track, frames: int, now_s: float = 0) -> list[Any]:
    """What happens: of frames the first sample, of cues the name."""
    happened: list[Any] = []
    for _ in range(frames):
        for what in one.frame(FRAME, round(now_s * 1e9)):
            happened.append(what.name if isinstance(what, Cue) else int(what[0]))
    return happened


def test_one_step_after_the_other_then_it_listens_and_is_over() -> None:
    one = track(Part(0, sound(2, 5), speech=True), Part(1, sound(1, 7)))
    assert act(one, 8) == [5, 5, 7, 0, 0, 0, "over", 0, 0]
    assert one.over


def test_a_step_without_sound_is_an_order_and_takes_no_time() -> None:
    assert act(track(Part(0, sound(1, 5)), Part(1, ROOM[:0]), Part(2, sound(1, 6))), 2) == [5, "order", 6]


def test_so_long_into_a_reply() -> None:
    one = track(Part(0, sound(1, 5), speech=True), Part(1, sound(1, 9), when=when(into_reply="200ms")), patience=9)
    assert act(one, 3) == [5, 0, 0]
    one.reply_begins()
    assert act(one, 4) == [0, 0, 9, 0]


def test_so_long_after_the_reply_to_what_was_said() -> None:
    one = track(Part(0, sound(1, 5), speech=True), Part(1, sound(1, 9), when=when(after_reply="100ms")), patience=9)
    one.reply_ends(1, 0)  # of an earlier turn, while this is said
    assert act(one, 3) == [5, 0, 0]
    one.reply_ends(2, 0)
    assert act(one, 3) == [0, 9, 0]


def test_so_long_after_the_turn_is_confirmed() -> None:
    one = track(Part(0, sound(1, 5), speech=True), Part(1, sound(1, 9), when=when(after_confirmed="0s")), patience=9)
    assert act(one, 2) == [5, 0]
    one.confirmed(1, 0)
    assert act(one, 1) == [9]


def test_what_is_waited_for_in_vain_is_given_up_with_all_that_follows() -> None:
    one = track(Part(0, sound(1, 5)), Part(1, sound(1, 9), when=when(into_reply="0s")), Part(2, sound(1, 8)), patience=0.3)
    assert act(one, 7) == [5, 0, 0, 0, 0, "gave_up", "over", 0, 0]


def test_it_waits_for_the_reply_to_a_turn_and_for_its_end() -> None:
    one = track(Part(0, sound(1, 5), speech=True), patience=30)
    act(one, 1)
    one.confirmed(1, 0)
    assert act(one, 9) == [0] * 9
    one.reply_begins()
    assert act(one, 9) == [0] * 9
    one.reply_ends(1, 0)
    assert act(one, 5) == [0, 0, 0, "over", 0, 0]


def test_a_reply_without_sound_may_end_before_its_turn_is_heard_of() -> None:
    one = track(Part(0, sound(1, 5), speech=True), patience=30)
    act(one, 1)
    one.reply_ends(1, 0)
    one.confirmed(1, 0)
    assert "over" in act(one, 5)


def test_a_turn_that_is_never_answered_is_waited_for_patiently_unless_another_follows() -> None:
    one = track(Part(0, sound(1, 5), speech=True), patience=1)
    act(one, 1)
    one.confirmed(1, 0)
    assert act(one, 12).index("over") == 11
    other = track(Part(0, sound(1, 5), speech=True), patience=30)
    act(other, 1)
    other.confirmed(1, 0)
    other.confirmed(2, 0)
    other.reply_ends(2, 0)
    assert "over" in act(other, 5)


def test_at_a_faster_pace_media_time_stands_still_while_a_reply_is_waited_for() -> None:
    one = track(
        Part(0, sound(1, 5), speech=True), Part(1, sound(1, 9), when=when(after_reply="0s")), realtime=False, patience=30
    )
    assert act(one, 100) == [5, *[0] * round(STILL_AFTER_S * 10)]
    one.confirmed(1, 0)
    one.reply_ends(1, 0)
    assert act(one, 2) == [9, 0]


def test_at_a_faster_pace_patience_is_of_the_wall_clock() -> None:
    one = track(Part(0, sound(1), when=when(after_reply="0s")), realtime=False)
    assert "gave_up" not in act(one, 100)
    assert "gave_up" in act(one, 1, now_s=2)
