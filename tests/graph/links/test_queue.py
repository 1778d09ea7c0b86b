from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from graph.links.base import Arrival, Ended, send
from graph.links.dealer import WINDOW_MAX
from graph.links.receipts import Receipt
from graph.message import Cause, encode_header, now_ns

from .ends import MAX_MESSAGE, Number, QueueEnds, counted, header, numbers, until


def push(ends: QueueEnds, count: int) -> int:
    """Push until the queue is full; returns how many went in."""
    for n in range(count):
        if not ends.out.push(header(), Number(n), b""):
            return n
    return count


def serve_credit(ends: QueueEnds) -> None:
    for notice in ends.credit.receive():
        ends.out.credit(notice)


def test_everything_arrives_in_order(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path)
    ends.connect()
    pushed = 0

    def step() -> None:
        nonlocal pushed
        while pushed < 500 and ends.out.push(header(), Number(pushed), b"x"):
            pushed += 1
        ends.serve()
        ends.finish(0)

    until(lambda: len(ends.got[0]) == 500, step)
    assert ends.numbers(0) == list(range(500))
    assert counted(ends.routes[0]).dropped == 0
    assert counted(ends.out).sent == 500
    ends.close()


def test_a_full_queue_makes_the_producer_wait_and_credit_lets_it_go_on(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, depth=100)
    ends.connect()
    assert push(ends, 200) == 100, "depth bounds what is unfinished, in the producer and at the taker together"
    until(lambda: len(ends.got[0]) == WINDOW_MAX, ends.serve)
    assert not ends.out.push(header(), Number(200), b"")
    assert ends.finish(0) == WINDOW_MAX
    until(lambda: ends.out.push(header(), Number(100), b""), ends.serve)
    ends.close()


@pytest.mark.parametrize(
    ("when_full", "kept"), [("drop_newest", list(range(80))), ("drop_oldest", [*range(64), *range(184, 200)])]
)
def test_a_full_queue_that_may_drop_counts_what_it_drops(tmp_path: Path, when_full: str, kept: list[int]) -> None:
    ends = QueueEnds(tmp_path, depth=80, when_full=when_full)
    ends.connect()
    assert push(ends, 200) == 200
    until(lambda: ends.finish(0) == 0 and len(ends.got[0]) == 80, ends.serve)
    assert ends.numbers(0) == kept
    assert (counted(ends.out).sent, counted(ends.out).dropped) == (200, 120)
    ends.close()


def test_a_busy_taker_is_spared(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, takers=2)
    ends.connect()
    pushed = 0

    def step() -> None:  # taker 0 takes one job and never finishes it
        nonlocal pushed
        while pushed < 50 and ends.out.push(header(), Number(pushed), b""):
            pushed += 1
        ends.serve()
        ends.finish(1)

    until(lambda: len(ends.got[1]) == 49, step)
    assert len(ends.got[0]) == 1
    ends.close()


def test_the_end_travels_behind_the_last_message(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path)
    ends.connect()
    push(ends, 3)
    assert not ends.out._dealer.waiting
    ends.out.end()
    until(lambda: len(ends.got[0]) == 4, ends.serve)
    assert ends.got[0][-1] == Ended("src", ("src.out->dst.x",))
    assert list(numbers(ends.got[0])) == [0, 1, 2]
    ends.close()


def test_a_message_that_cannot_be_read_gives_its_credit_back(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, depth=1)
    ends.connect()

    class Strange(Number, frozen=True):
        kind = "test.strange"

    strange = header()
    strange.kind = Strange.kind
    assert ends.out.push(strange, Strange(1), b"")
    ends.serve()

    def step() -> None:
        ends.serve()
        ends.takers[0].flush()

    until(lambda: not ends.out.full, step)
    assert counted(ends.routes[0]).rejected == 1
    assert ends.out.push(header(), Number(2), b"")
    until(lambda: ends.got[0], ends.serve)
    assert ends.numbers(0) == [2]
    ends.close()


def test_junk_on_the_credit_socket_is_nobodys_credit(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, depth=1)
    ends.connect()
    assert ends.out.push(header(), Number(0), b"")
    for junk in (b"", b"\xc1", b"\x81\xa4type\xa3ack", b"junk"):
        ends.takers[0]._producers["src"].send(junk)
    ends.serve()
    assert ends.out.full
    until(lambda: ends.finish(0) > 0, ends.serve)
    until(lambda: not ends.out.full, ends.serve)
    ends.close()


def test_a_taker_that_died_never_holds_up_its_producer(tmp_path: Path) -> None:
    """Credit it gave before it died is still spent on it; the supervisor decides what becomes of the graph."""
    ends = QueueEnds(tmp_path, depth=128)
    ends.connect()
    assert push(ends, 128) == 128
    until(lambda: len(ends.got[0]) == WINDOW_MAX, ends.serve)
    ends.finish(0)
    ends.takers[0].socket.close(0)
    dealing = Thread(target=lambda: until(lambda: not ends.out._dealer.waiting, lambda: serve_credit(ends)), daemon=True)
    dealing.start()
    dealing.join(timeout=10)
    assert not dealing.is_alive(), "it waits for the dead"
    assert not ends.out._dealer.waiting
    ends.close()


def test_a_later_message_finished_first_gives_no_credit_away(tmp_path: Path) -> None:
    """What became stale is finished while an earlier message is still in hand."""
    ends = QueueEnds(tmp_path, depth=3)
    ends.connect()
    assert push(ends, 3) == 3
    until(lambda: len(ends.got[0]) == 3, ends.serve)
    first, second, third = [a for a in ends.got[0] if isinstance(a, Arrival)]
    ends.takers[0].begin(first, now_ns())
    ends.takers[0].finished(third, handled=False)
    ends.takers[0].finished(first)
    ends.takers[0].begin(second, now_ns())
    ends.takers[0].finished(second)
    ends.takers[0].flush()
    until(lambda: counted(ends.out).depth == 0, ends.serve)
    assert push(ends, 3) == 3
    ends.close()


def test_a_message_that_is_too_long_gives_its_credit_back(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, depth=1)
    ends.connect()
    assert ends.out.push(header(), Number(1), bytes(MAX_MESSAGE))

    def step() -> None:
        ends.serve()
        ends.takers[0].flush()

    until(lambda: not ends.out.full, step)
    assert counted(ends.routes[0]).rejected == 1
    ends.close()


def test_what_is_done_is_told_as_soon_as_the_taker_is_idle(tmp_path: Path) -> None:
    """A chain of queues that keep their messages would wait for each other's words."""
    ends = QueueEnds(tmp_path, depth=64, delivery="at_least_once")
    ends.connect()
    one = header()
    one.cause = Cause("src", 0, 0)
    assert ends.out.push(one, Number(1), b"")
    until(lambda: ends.got[0], ends.serve)
    [arrival] = ends.got[0]
    assert isinstance(arrival, Arrival)
    ends.takers[0].begin(arrival, now_ns())
    ends.takers[0].finished(arrival)
    ends.takers[0].look(now_ns())
    until(lambda: ends.out.settled, ends.serve)
    ends.close()


def test_what_was_on_its_way_to_a_former_life_is_passed_over(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, delivery="at_least_once")
    ends.connect()
    late = header()
    late.seq, late.to = 40, 7
    send(ends.out._sockets["dst.0"], ends.edge.id.encode(), encode_header(late, Number(99)))
    assert push(ends, 5) == 5
    until(lambda: len(ends.got[0]) == 5, ends.serve)
    assert ends.numbers(0) == list(range(5)), "it neither arrives nor makes the others seem late"
    assert (counted(ends.routes[0]).rejected, counted(ends.routes[0]).dropped) == (0, 0)
    ends.close()


def test_what_is_stale_is_not_given_to_the_next_life_of_a_taker(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, depth=4, delivery="at_least_once", stale=True)
    ends.connect()
    closed: list[Receipt] = []

    def said(n: int, turn: int) -> None:
        one = header()
        one.turn = turn
        assert ends.out.push(one, Number(n), b"", Receipt(Cause("src", n, 0), closed.append))

    said(0, turn=1)
    said(1, turn=2)
    until(lambda: len(ends.got[0]) == 2, ends.serve)
    ends.out.gone("dst.0", 0, 1, 0)  # with the first in hand
    said(2, turn=1)
    ends.out.withdraw("default", (2, 0))
    assert sorted(one.cause.number for one in closed) == [0, 2]
    ends.takers[0].close()
    ends.takers[0] = ends.taker(ends.instances[0], life=1)
    ends.takers[0].add(ends.routes[0], [("src", f"ipc://{tmp_path}/src.credit")])
    ends.got[0].clear()
    ends.takers[0].greet()
    until(lambda: ends.got[0], ends.serve)
    assert ends.numbers(0) == [1]
    assert (counted(ends.out).resent, counted(ends.out).stale) == (2, 2)
    ends.out.withdraw("default", (3, 0))  # its taker has it, and drops it itself
    assert ends.out.statistics().depth == 1
    ends.out.gone("dst.0", 1, 0, -1)
    assert counted(ends.out).stale == 3, "it died before it had counted that"
    assert sorted(one.cause.number for one in closed) == [0, 1, 2]
    assert ends.out.finished
    ends.close()


def test_who_is_not_told_of_interruptions_is_given_all(tmp_path: Path) -> None:
    ends = QueueEnds(tmp_path, delivery="at_least_once")
    one = header()
    one.turn = 1
    assert ends.out.push(one, Number(0), b"")
    ends.out.withdraw("default", (2, 0))
    ends.connect()
    until(lambda: ends.got[0], ends.serve)
    assert ends.numbers(0) == [0]
    ends.close()
