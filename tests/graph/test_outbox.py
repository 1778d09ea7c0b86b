"""What a node says while it waits: over real queues, whose taker never comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.inbox import Inbox
from graph.links.base import Arrival, Taken, received
from graph.links.receipts import Origin, Receipt
from graph.message import Cause
from graph.node import Outgoing
from graph.outbox import Outbox
from tests.graph.links.ends import MAX_MESSAGE, Number, QueueEnds, StreamEnds, header, route


class _Links:
    """As much of a wiring as an outbox needs."""

    def __init__(self, folder: Path) -> None:
        self.plain = QueueEnds(folder, depth=1)
        (folder / "kept").mkdir()
        self.kept = QueueEnds(folder / "kept", depth=1, delivery="at_least_once")
        (folder / "stream").mkdir()
        self.stream = StreamEnds(folder / "stream")
        self.queues_out = {"out": [self.plain.out, self.kept.out]}
        self.streams_out = self.stream.out
        self.queues_in = None
        self.interrupting: set[str] = set()
        self.withdrawn: list[tuple[str, tuple[int, int]]] = []

    def withdraw(self, session: str, turn: tuple[int, int]) -> None:
        self.withdrawn.append((session, turn))

    def acknowledge(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        for ends in (self.plain, self.kept, self.stream):
            ends.close()


@pytest.fixture
def links(tmp_path: Path) -> Iterator[_Links]:
    made = _Links(tmp_path)
    yield made
    made.close()


def test_a_receipt_is_closed_when_its_message_becomes_stale_before_a_kept_copy_was_sent(links: _Links) -> None:
    inbox = Inbox(lambda arrival: None)

    def interrupted() -> None:
        one = header()
        one.turn = 2
        interruption = route(links.plain.edge)
        interruption.interrupts = True
        inbox.add(Arrival(interruption, received(one, Number(0), b"")))

    outbox = Outbox("dst", links, Origin("dst"), MAX_MESSAGE, inbox, interrupted, print)  # type: ignore[arg-type]
    assert links.plain.out.push(header(), Number(0), b"")  # it is full now
    caused = header()
    caused.turn = 1
    receipt = Receipt(Cause("src", 0, 0), lambda one: None, [Taken("src", 0, "e", 0)])
    outbox.send(Outgoing("out", Number(1)), Arrival(route(links.plain.edge), received(caused, Number(1), b""), None, receipt))
    assert receipt.open == 1, "what is left is the handler itself"


def test_what_is_too_long_is_not_sent_and_told_once_a_second(links: _Links) -> None:
    told: list[str] = []
    outbox = Outbox("dst", links, Origin("dst"), 100, Inbox(lambda arrival: None), lambda: None, told.append)  # type: ignore[arg-type]
    for _ in range(100):
        outbox.send(Outgoing("out", Number(1), bytes(100)), None)
    assert told == ["a message is not sent (the last, on 'out': 104 bytes are more than max_message, 100)"]
    assert links.plain.out.statistics().sent == 0


def test_what_a_node_says_on_an_interrupting_output_makes_stale_what_it_had_said_itself(links: _Links) -> None:
    outbox = Outbox("dst", links, Origin("dst"), MAX_MESSAGE, Inbox(lambda arrival: None), lambda: None, print)  # type: ignore[arg-type]
    links.queues_out = {}
    outbox.send(Outgoing("out", Number(1), session="anna", turn=1), None)
    assert links.withdrawn == []
    links.interrupting = {"out"}
    outbox.send(Outgoing("out", Number(1), session="anna", turn=1, revision=1), None)
    assert links.withdrawn == [("anna", (1, 1))]
