"""echo.half_duplex, and what it shares with its family: which frames are laid side by side, and when they leave."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from graph.testing import Harness, Sent
from nodes.echo.base import WAIT_NS
from nodes.echo.half_duplex import HalfDuplex
from nodes.kinds import AudioFrame
from tests.nodes.echo import acoustics as room

RATE_HZ = 16_000
MS_NS = 1_000_000
FRAME = RATE_HZ // 50  # 20 ms


@pytest.fixture
def node() -> Iterator[Harness[HalfDuplex]]:
    with Harness(HalfDuplex, tail_ms=40) as made:
        yield made


def hear(node: Harness[HalfDuplex], number: int, *, session: str = "default", zero_ms: int = 0) -> list[Sent]:
    """The microphone's frame with this number, which ends 20 ms later than the one before."""
    end_ns = (zero_ms + 20 * (number + 1)) * MS_NS
    assert node.clock_ns is not None
    node.clock_ns = max(node.clock_ns, end_ns)
    payload = np.full(FRAME, 1_000, "<i2").tobytes()
    return node.feed("audio", AudioFrame(RATE_HZ, number * FRAME), payload, session=session, origin_ns=end_ns, turn=3)


def play(node: Harness[HalfDuplex], number: int, *, session: str = "default", zero_ms: int = 0) -> list[Sent]:
    """A frame of the loudspeaker, whose own count begins at zero_ms of the clock."""
    end_ns = (zero_ms + 20 * (number + 1)) * MS_NS
    payload = np.full(FRAME, 5_000, "<i2").tobytes()
    return node.feed("heard", AudioFrame(RATE_HZ, number * FRAME), payload, session=session, origin_ns=end_ns)


def silent(sent: list[Sent]) -> str:
    """A letter a frame: '#' silent, '.' as it was."""
    return "".join("." if all(np.frombuffer(one.payload, "<i2")) else "#" for one in sent)


def test_the_microphone_is_silent_while_the_reply_is_heard_and_the_room_sounds(node: Harness[HalfDuplex]) -> None:
    for number in range(3):
        hear(node, number)
    for number in range(2):
        play(node, number, zero_ms=60)
        hear(node, 3 + number)
    for number in range(5, 9):
        hear(node, number)
    node.drain()
    assert silent(node.sent) == "...####.."
    assert [one.body.start for one in node.sent] == [number * FRAME for number in range(9)]
    assert [one.origin_ns for one in node.sent] == [20 * MS_NS * (number + 1) for number in range(9)]
    assert {one.turn for one in node.sent} == {3}


def test_a_reference_that_comes_late_is_waited_for(node: Harness[HalfDuplex]) -> None:
    play(node, 0)
    assert len(hear(node, 0)) == 1
    assert hear(node, 1) == []
    assert hear(node, 2) == []
    assert [one.body.start for one in play(node, 1)] == [FRAME]
    node.due()
    assert node.clock_ns == 60 * MS_NS + WAIT_NS
    assert silent(node.sent) == "###"
    assert [len(hear(node, number)) for number in range(7, 9)] == [1, 1], "where nothing was played lately, nothing is awaited"


def test_sessions_do_not_hear_each_other(node: Harness[HalfDuplex]) -> None:
    play(node, 0, session="a")
    assert silent(hear(node, 0, session="a") + hear(node, 0, session="b")) == "#."


def test_sources_that_begin_again_are_laid_side_by_side_anew(node: Harness[HalfDuplex]) -> None:
    play(node, 9)
    hear(node, 9)
    play(node, 0, zero_ms=1_000)
    assert silent(hear(node, 0, zero_ms=1_000)) == "#"
    assert silent(hear(node, 9, zero_ms=1_000)) == "."


def test_sound_that_nobody_listens_to_is_left_out(node: Harness[HalfDuplex]) -> None:
    assert node.feed("audio", AudioFrame(48_000), bytes(960)) + node.feed("audio", AudioFrame(48_000), bytes(960)) == []
    assert node.warnings == ["audio of session 'default' is left out: it is of 48000 Hz, 16000 Hz are needed"]


@pytest.mark.models
@pytest.mark.parametrize("level_db", [-6, -30])
@pytest.mark.parametrize("delay_ms", [20, 250])
def test_the_assistant_does_not_hear_itself(level_db: float, delay_ms: float) -> None:
    played = np.concatenate([room.silence(0.5), *room.questions(), room.silence(1)])
    with Harness(HalfDuplex) as node:
        assert room.speech(room.through(node, room.microphone(room.echo(played, level_db, delay_ms)), played)) == []
