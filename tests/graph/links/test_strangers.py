"""What links do with those who break the rules: nothing piles up, nothing overflows, nobody is told a novel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from graph.links.base import HANDFUL, MISSING_MAX, Ended
from graph.links.queue import END
from graph.links.stream import End, Welcome
from graph.message import encode_header

from .ends import MAX_MESSAGE, Number, QueueEnds, StreamEnds, counted, header, until

encode = msgspec.msgpack.Encoder().encode


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[StreamEnds]:
    both = StreamEnds(tmp_path)
    both.connect()
    yield both
    both.close()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[QueueEnds]:
    both = QueueEnds(tmp_path, depth=4)
    both.connect()
    yield both
    both.close()


def frame(**changes: Any) -> bytes:
    one = header()
    for name, value in changes.items():
        setattr(one, name, value)
    return encode_header(one, Number(1))


def intruder(queue: QueueEnds) -> zmq.Socket[bytes]:
    made: zmq.Socket[bytes] = queue.context.socket(zmq.PUSH)
    made.setsockopt(zmq.LINGER, 0)
    made.connect(queue.instances[0].work)
    return made


def test_numbers_that_cannot_be_true_never_overflow_a_counter(ends: StreamEnds) -> None:
    one, got = ends.routes[0], ends.got[0]
    for life in range(2500):
        ends.out.socket.send_multipart([b"src.out/00", frame(life=life, seq=2**53 - 1)])
        ends.out.socket.send_multipart([b"src.out/00", frame(life=life, seq=MISSING_MAX)])
        if life % 100 == 99:
            until(lambda n=2 * life + 2: counted(one).rejected + len(got) == n, ends.serve)
    assert len(got) == 2500
    assert counted(one).dropped == 2500 * MISSING_MAX


@pytest.mark.parametrize(
    "topic", ["src.out/zz", "src.out/40", "src.out/-1", "src.out/", "nobody.out/00", "src.out/" + "0" * 9999]
)
@pytest.mark.parametrize("sent", [7, 2**53 - 1])
def test_a_notice_of_topics_that_are_not_there_changes_nothing(ends: StreamEnds, topic: str, sent: int) -> None:
    for notice in (End("src", 0, {topic: sent}), Welcome("src", 0, {topic: sent})):
        ends.out.socket.send_multipart([b"?dst.0", encode(notice)])
    until(lambda: Ended("src", ("src.out->dst.x",)) in ends.got[0], ends.serve)
    assert counted(ends.routes[0]).dropped == 0


def test_welcomes_of_many_lives_leave_one_answer(ends: StreamEnds) -> None:
    for life in range(1, 500):
        ends.out.socket.send_multipart([b"?dst.0", encode(Welcome("src", life))])
        ends.serve()
    until(lambda: ends.ins[0]._producers["src"].answer == "!dst.0/src/499", ends.serve)


def test_subscriptions_to_what_is_not_published_are_not_remembered(ends: StreamEnds) -> None:
    known = set(ends.out._subscriptions)
    listener = ends.context.socket(zmq.SUB)
    listener.setsockopt(zmq.SNDHWM, 0)
    for k in range(2000):
        listener.subscribe(f"junk {k}")
    listener.subscribe("src.out/0")
    listener.connect(f"ipc://{ends.folder}/src.out")
    until(lambda: b"src.out/0" in ends.out._subscriptions, ends.serve)
    listener.subscribe("src.out/00 and more")
    listener.subscribe("?me")
    until(lambda: listener.poll(0), ends.serve)
    assert ends.out._subscriptions == {*known, b"src.out/0"}
    listener.close(0)


def test_a_node_looks_up_from_a_socket_that_never_ends(ends: StreamEnds) -> None:
    for n in range(3 * HANDFUL):
        ends.out.publish(header(), Number(n), b"")
    until(lambda: len(ends.got[0]) >= 2 * HANDFUL, lambda: at_most(ends))


def at_most(ends: StreamEnds) -> None:
    before = len(ends.got[0])
    ends.serve()
    assert len(ends.got[0]) - before <= HANDFUL


def test_who_sends_more_than_his_credit_fills_nobodys_memory(queue: QueueEnds) -> None:
    push = intruder(queue)
    for seq in range(1000):
        push.send_multipart([queue.edge.id.encode(), frame(seq=seq)])
    until(lambda: len(queue.got[0]) + counted(queue.routes[0]).rejected == 1000, queue.serve)
    assert len(queue.got[0]) == queue.edge.depth
    assert queue.routes[0].reason == "'src' has no credit left"
    push.close(0)


def test_what_strangers_say_is_told_in_a_short_and_harmless_line(queue: QueueEnds) -> None:
    push = intruder(queue)
    push.send_multipart([queue.edge.id.encode(), frame(instance="\x1b[2J\r\n" + "x" * (MAX_MESSAGE // 2))])
    until(lambda: counted(queue.routes[0]).rejected == 1, queue.serve)
    reason = queue.routes[0].reason
    assert reason.isprintable()
    assert len(reason) < 300
    push.close(0)


def test_an_end_that_nobody_here_waits_for_is_a_strangers(queue: QueueEnds) -> None:
    push = intruder(queue)
    for words in (b"\xc1", b"", encode({"instance": "x", "edge": "y", "sent": 2**60}), b"\x81\xa1q" + b"\x91" * 50_000):
        push.send_multipart([END, words])
    until(lambda: queue.takers[0].strangers == 4, queue.serve)
    assert queue.got[0] == []
    push.close(0)
