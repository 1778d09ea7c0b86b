"""A reply whose end never comes is over all the same."""

from __future__ import annotations

from pathlib import Path

from graph.testing import Harness
from nodes.causes import BROKE_OFF
from nodes.kinds import AudioFrame, Played, ReplyBegins
from nodes.sink.file import FileSink
from nodes.sink.unfinished import Unfinished
from nodes.tts.base import Spoken

ANN, BOB = ("ann", 1, 0), ("bob", 1, 0)
RATE_HZ = 24_000


def test_it_is_given_up_once_all_of_it_was_heard_and_nothing_more_came_for_long() -> None:
    replies = Unfinished()
    assert replies.next_ns(5) == 0
    replies.hear(ANN, 10, now_ns=100)
    replies.hear(ANN, 10, now_ns=101)
    assert replies.next_ns(5) == 125
    assert replies.given_up(124, 5) == []
    assert replies.given_up(125, 5) == [ANN]
    assert replies.given_up(200, 5) == []


def test_more_of_it_comes_in_time() -> None:
    replies = Unfinished()
    replies.hear(ANN, 10, now_ns=100)
    replies.hear(ANN, 10, now_ns=114)
    assert replies.given_up(128, 5) == []
    assert replies.given_up(129, 5) == [ANN]


def test_what_has_ended_or_was_cut_is_not_waited_for() -> None:
    replies = Unfinished()
    replies.hear(ANN, 10, now_ns=100)
    replies.hear(BOB, 10, now_ns=100)
    replies.end(ANN)
    replies.cut("bob", 1, 1)
    assert replies.next_ns(5) == 0
    replies.hear(BOB, 10, now_ns=100)
    replies.cut("bob", 1, 0)
    replies.cut("ann", 2, 0)
    assert replies.given_up(999, 5) == [BOB]


def test_while_it_pauses_nobody_loses_patience() -> None:
    replies = Unfinished()
    replies.hear(ANN, 10, now_ns=100)
    replies.hear(BOB, 10, now_ns=100)
    replies.pause("ann", 104)
    replies.pause("ann", 110)
    assert replies.given_up(200, 5) == [BOB]
    replies.go_on("ann", 204)
    assert replies.given_up(214, 5) == []
    assert replies.given_up(215, 5) == [ANN]


def test_a_sink_tells_what_was_heard_of_it_and_that_it_broke_off(tmp_path: Path) -> None:
    with Harness(FileSink, folder=tmp_path, patience_s=3) as sink:
        sink.feed("audio", AudioFrame(RATE_HZ), bytes(2 * RATE_HZ), turn=1)
        sink.feed("audio", Spoken("So far.", RATE_HZ), turn=1)
        (told,) = sink.due()
        assert sink.clock_ns == 4_000_000_000
        assert (told.body, told.turn) == (Played("So far.", RATE_HZ, RATE_HZ, cause=BROKE_OFF), 1)
        (begins,) = [one.body for one in sink.feed("audio", AudioFrame(RATE_HZ), bytes(2 * RATE_HZ), turn=1)]
        assert begins == ReplyBegins(), "what is said then in this turn is told of anew"


def test_a_sink_does_not_wait_for_what_has_ended(tmp_path: Path) -> None:
    with Harness(FileSink, folder=tmp_path) as sink:
        sink.feed("audio", AudioFrame(RATE_HZ), bytes(2 * RATE_HZ), turn=1)
        sink.feed("audio", Spoken("All.", RATE_HZ, last=True, cause="it is late"), turn=1)
        assert sink.due() == []
        assert sink.sent[-1].body == Played("All.", RATE_HZ, RATE_HZ, cause="it is late")
