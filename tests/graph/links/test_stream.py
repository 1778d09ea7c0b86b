from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import NodeError
from graph.links.base import Ended
from graph.links.counts import PARTITIONS, Counts, Index
from graph.links.partitions import partition_of, partitions_of_replica
from graph.links.stream import StreamOut
from graph.message import encode_header

from .ends import MAX_MESSAGE, NO_RING_OUT, Number, StreamEnds, counted, header, numbers, until

PARTITION = partition_of("default")


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[StreamEnds]:
    both = StreamEnds(tmp_path)
    yield both
    both.close()


def test_nothing_is_lost_at_the_start(ends: StreamEnds) -> None:
    ends.connect()
    for n in range(200):
        ends.out.publish(header(), Number(n), b"")
    until(lambda: len(ends.got[0]) == 200, ends.serve)
    assert list(numbers(ends.got[0])) == list(range(200))
    assert counted(ends.routes[0]).dropped == 0


def test_the_producer_is_not_ready_before_its_consumer_listens(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sending = Counts.in_memory(Index(sending=["out"])).sending
    out = StreamOut(context, "src", 0, "src", f"ipc://{tmp_path}/alone", ["dst"], 10, sending, NO_RING_OUT)
    out.read_subscriptions()
    assert not out.ready
    out.close(0)
    context.term()


def test_a_payload_travels_as_a_frame_of_its_own(ends: StreamEnds) -> None:
    ends.connect()
    ends.out.publish(header(), Number(7), b"\x00\x01" * 512)
    until(lambda: ends.got[0], ends.serve)
    arrival = ends.got[0][0]
    assert not isinstance(arrival, Ended)
    assert (arrival.message.body, arrival.message.payload) == (Number(7), b"\x00\x01" * 512)


def test_every_gap_is_counted(ends: StreamEnds) -> None:
    ends.connect()
    for n in range(10):
        one = header()
        ends.out.publish(one, Number(n), b"")
        if n in (3, 4, 7):  # as if the network had lost them: the numbers go on
            ends.out._sending["out"][PARTITION] += 1
    until(lambda: len(ends.got[0]) == 10, ends.serve)
    assert counted(ends.routes[0]).dropped == 3


def test_a_lost_tail_is_counted_at_the_end_and_only_once(ends: StreamEnds) -> None:
    ends.connect()
    ends.out.publish(header(), Number(0), b"")
    ends.out._sending["out"][PARTITION] += 5
    ends.out.end(ends.names)
    ends.out.end(ends.names)
    until(lambda: len(ends.got[0]) == 3, ends.serve)
    assert ends.got[0][1:] == [Ended("src", ("src.out->dst.x",))] * 2
    assert counted(ends.routes[0]).dropped == 5


def test_replicas_share_the_sessions_and_count_only_their_own(tmp_path: Path) -> None:
    ends = StreamEnds(tmp_path, replicas=3)
    ends.connect()
    sessions = [f"user-{k}" for k in range(60)]
    for n, session in enumerate(sessions * 2):
        ends.out.publish(header(session=session), Number(n), b"")
    ends.out.end(ends.names)
    until(lambda: all(any(isinstance(a, Ended) for a in got) for got in ends.got), ends.serve)
    owners: dict[str, set[int]] = {}
    for k, got in enumerate(ends.got):
        for arrival in got:
            if not isinstance(arrival, Ended):
                owners.setdefault(arrival.message.session, set()).add(k)
    assert all(len(replicas) == 1 for replicas in owners.values()), "a session always meets the same replica"
    assert sum(len(list(numbers(got))) for got in ends.got) == 120
    assert sum(counted(r).dropped for r in ends.routes) == 0
    ends.close()


@pytest.mark.parametrize(
    "frames",
    [
        [b"not messagepack \xc1"],
        [b""],
        [b"\x80"],
        [encode_header(header(), Number(1))[:-3]],
        [encode_header(header(), Number(1)), b"p", b"too many"],
        [encode_header(header(), Number(1)).replace(b"test.number", b"test.strange")],
    ],
)
def test_a_frame_that_cannot_be_read_is_counted_and_the_next_one_arrives(ends: StreamEnds, frames: list[bytes]) -> None:
    ends.connect()
    ends.out.socket.send_multipart([b"src.out/00", *frames])
    ends.out.publish(header(), Number(5), b"")
    until(lambda: ends.got[0], ends.serve)
    assert list(numbers(ends.got[0])) == [5]
    assert counted(ends.routes[0]).rejected == 1


def test_another_protocol_version_is_rejected(ends: StreamEnds) -> None:
    ends.connect()
    strange = header()
    strange.v = 2
    ends.out.publish(strange, Number(1), b"")
    ends.out.publish(header(), Number(2), b"")
    until(lambda: ends.got[0], ends.serve)
    assert list(numbers(ends.got[0])) == [2]
    assert counted(ends.routes[0]).rejected == 1


def test_a_port_in_use_is_told_in_one_line() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    taken = context.socket(zmq.PULL)
    port = taken.bind_to_random_port("tcp://127.0.0.1")
    with pytest.raises(NodeError) as told:
        StreamOut(context, "src", 0, "src", f"tcp://127.0.0.1:{port}", [], 10, {}, NO_RING_OUT)
    assert str(told.value) == f"port 127.0.0.1:{port} is in use by another program: choose another `first_port`"
    context.destroy(linger=0)


@given(st.integers(1, 8))
def test_every_partition_has_exactly_one_replica(replicas: int) -> None:
    owned = [p for r in range(replicas) for p in partitions_of_replica(r, replicas)]
    assert sorted(owned) == list(range(PARTITIONS))


@pytest.mark.parametrize("replicas", range(2, 9))
def test_every_replica_gets_its_share(replicas: int) -> None:
    shares = [len(partitions_of_replica(r, replicas)) for r in range(replicas)]
    assert min(shares) >= PARTITIONS / replicas / 2
    assert max(shares) <= PARTITIONS / replicas * 2


@given(st.integers(1, 7))
def test_a_new_replica_takes_partitions_and_moves_none_between_the_others(replicas: int) -> None:
    for replica in range(replicas):
        assert set(partitions_of_replica(replica, replicas + 1)) <= set(partitions_of_replica(replica, replicas))


def test_a_message_that_is_too_long_is_rejected_and_not_missed_as_well(ends: StreamEnds) -> None:
    ends.connect()
    ends.out.publish(header(), Number(1), bytes(MAX_MESSAGE))
    ends.out.publish(header(), Number(2), b"")
    until(lambda: ends.got[0], ends.serve)
    assert list(numbers(ends.got[0])) == [2]
    assert (counted(ends.routes[0]).rejected, counted(ends.routes[0]).dropped) == (1, 0)
