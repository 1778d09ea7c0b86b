"""How a payload travels: in a frame of its own, or, when it is large and its readers are on this host, in shared memory.

Whoever sends or reads a message need not know: the header names the block, or there is a third frame.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence

from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
from graph.message import Block, Header

THRESHOLD = 262_144  # bytes; below it a copy through the socket costs less than the ring (decision 13)
STREAM = ""  # the link of all streams of an instance: they share a socket, so their messages come in order


class PayloadsOut:
    """The sending side. `readers` gives, by port and partition, who will read what is published there; None: not all of
    them can (a program in another language), so that stream never uses the ring. `foreign`: takers that cannot."""

    def __init__(
        self,
        ring: RingOut | None,
        readers: Callable[[str, int], Collection[str] | None],
        foreign: Container[str] = (),
    ) -> None:
        self._ring = ring
        self._readers = readers
        self._foreign = foreign

    def publish(self, header: Header, payload: bytes | memoryview, partition: int) -> bytes | memoryview:
        """What is left to send through the socket of a message for all who listen."""
        if self._ring is None or len(payload) < THRESHOLD:
            return payload
        return self._write(header, payload, self._readers(header.port, partition), STREAM)

    def hand(self, header: Header, payload: bytes | memoryview, taker: str, edge: str) -> bytes | memoryview:
        """What is left to send through the socket of a message for one taker of a queue."""
        if self._ring is None or len(payload) < THRESHOLD or taker in self._foreign:
            header.block = None  # it may have been given to somebody else before
            return payload
        return self._write(header, payload, (taker,), edge)

    def _write(
        self, header: Header, payload: bytes | memoryview, readers: Collection[str] | None, link: str
    ) -> bytes | memoryview:
        header.block = None
        if self._ring is None or not readers:
            return payload
        header.block = self._ring.write(payload, readers, link)
        if header.block is not None:
            return b""
        # Full: readers learn how far the ring has come, so that blocks whose message was lost are given back.
        header.block = Block("", self._ring.number, 0, 0)
        return payload

    @property
    def trouble(self) -> str:
        """Why shared memory cannot be used, or not as much of it; empty when all is well."""
        return self._ring.trouble if self._ring is not None else ""

    def forget(self, reader: str, life: int) -> None:
        """A reader died: what it held is free."""
        if self._ring is not None:
            self._ring.forget(reader, life)

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()


class PayloadsIn:
    """The reading side."""

    def __init__(self, ring: RingIn | None) -> None:
        self._ring = ring

    @property
    def trouble(self) -> str:
        """Why shared memory cannot be used; empty when all is well."""
        return self._ring.trouble if self._ring is not None else ""

    def attach(self, producer: str, link: str) -> None:
        """Be known to a producer before its first message on a link."""
        if self._ring is not None:
            self._ring.attach(producer, link)

    def detach(self, producer: str, link: str) -> None:
        """Nothing more will come of a producer on a link; what has come stays good."""
        if self._ring is not None:
            self._ring.detach(producer, link)

    def read(self, header: Header, frames: Sequence[bytes], link: str) -> bytes | memoryview:
        """The payload of a message, wherever it lies.

        :raises BlockLost: it lay in shared memory and is gone.
        """
        if header.block is not None and self._ring is not None:
            if header.block.ring:
                return self._ring.read(header.instance, header.block, link)
            self._ring.passed(header.instance, header.life, header.block.number, link)
        return frames[2] if len(frames) == 3 else b""

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()
