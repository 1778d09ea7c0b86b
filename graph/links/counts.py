"""What an instance has counted, in a file mapped into memory: it outlives the process, also one that is killed.

Counting is `cells[DELIVERED] += 1` on a view of 64-bit cells. When an instance has died, the supervisor reads the file
instead of the last beat, and the instance's next life reads how far its former one had heard.
"""

from __future__ import annotations

import mmap
import os
from array import array
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

Cells: TypeAlias = memoryview  # of unsigned 64-bit numbers
Name = TypeVar("Name")

# cells of an edge, at one end of it
SENT, DELIVERED, DROPPED, STALE, REJECTED, RESENT, DUPLICATES, DEAD, BYTES, DEPTH, DEPTH_MAX, SILENT = range(12)
ASTRAY = 12  # of those rejected, frames that took no place among the numbers of a stream
LATENCY = 13  # the first cell of the histogram
BUCKETS = 108  # up to 134 s
EDGE_CELLS = LATENCY + BUCKETS

# cells of a lane, at its taker: messages counted as delivered, stale or rejected; messages finished; one more than the
# number of the one in hand; the producer's life that all this is of
COUNTED, FREED, IN_HAND, LANE_LIFE = range(4)
LANE_CELLS = 4

# cells of a stream, by partition: the next number to send, or to expect; at a consumer also the producer's life, what it
# has heard of former lives of the producer, the sum of the numbers that its own life began with, and the set of partitions
# (a bit each) that it is to account for: of others it only knows how far it once was
PARTITIONS = 64  # sessions are spread over this many topics of a port; replicas share the topics out
LIFE, FORMER, BEGAN, OWN = range(PARTITIONS, PARTITIONS + 4)
STREAM_CELLS = PARTITIONS + 4


def bucket(us: int) -> int:
    """The histogram bucket of a latency in whole microseconds: four to the octave, so a bound is at most 25 % off."""
    if us < 4:
        return max(0, us)
    shift = us.bit_length() - 3
    return min((shift << 2) + (us >> shift), BUCKETS - 1)


def upper_us(index: int) -> int:
    """The largest latency that a bucket holds, in microseconds."""
    if index < 4:
        return index
    shift = (index >> 2) - 1
    return ((4 + (index & 3) + 1) << shift) - 1


class EdgeStatistics(msgspec.Struct, omit_defaults=True):
    """What has been counted on an edge. A producer counts what it sends, a consumer the rest; the report adds them up."""

    sent: int = 0
    delivered: int = 0  # to a handler
    dropped: int = 0  # lost on the way, pushed out of a full buffer, or lost with a process that died
    stale: int = 0  # of a turn that was interrupted before they were handled
    rejected: int = 0  # not a message of this protocol, too long, or of a kind the port does not take
    resent: int = 0  # at_least_once: given to another taker after one died
    duplicates: int = 0  # at_least_once: known already, discarded
    dead_lettered: int = 0  # at_least_once: set aside after killing several takers
    bytes: int = 0  # payload bytes delivered
    depth: int = 0  # messages waiting now
    depth_max: int = 0  # messages waiting at worst, at one end of one instance
    silent: int = 0  # how often the input fell silent for longer than its input_timeout
    latency: dict[int, int] = {}  # how many messages by histogram bucket, from sending to the handler

    def add(self, other: EdgeStatistics) -> None:
        """Sum up the ends and instances of an edge."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.depth_max = max(self.depth_max, other.depth_max)
        self.latency = {k: self.latency.get(k, 0) + other.latency.get(k, 0) for k in self.latency.keys() | other.latency.keys()}

    def quantile_us(self, share: float) -> int | None:
        """The latency that this share of the messages did not exceed, in microseconds; None without messages."""
        wanted = share * sum(self.latency.values())
        seen = 0
        for index in sorted(self.latency):
            seen += self.latency[index]
            if seen >= wanted:
                return upper_us(index)
        return None


_SUMMED = [name for name in EdgeStatistics.__struct_fields__ if name not in ("depth_max", "latency")]


def statistics(cells: Cells) -> EdgeStatistics:
    """A copy of an edge's cells."""
    values = cells.tolist()
    histogram = {k: n for k, n in enumerate(values[LATENCY:]) if n}
    return EdgeStatistics(
        values[SENT],
        values[DELIVERED],
        values[DROPPED],
        values[STALE],
        values[REJECTED],
        values[RESENT],
        values[DUPLICATES],
        values[DEAD],
        values[BYTES],
        values[DEPTH],
        values[DEPTH_MAX],
        values[SILENT],
        histogram,
    )


def begin_life(cells: Cells, life: int) -> None:
    """A producer's next life begins: its numbers do so at 0. In one store, so that a kill finds the old or the new."""
    heard = cells[FORMER] + sum(cells[:PARTITIONS])
    cells[:] = memoryview(array("Q", [0] * PARTITIONS + [life + 1, heard, cells[BEGAN], cells[OWN]]))


def owned(cells: Cells) -> frozenset[int]:
    """The partitions of a stream that this end accounts for."""
    return frozenset(partition for partition in range(PARTITIONS) if cells[OWN] >> partition & 1)


def own(cells: Cells, partitions: Iterable[int]) -> None:
    """From now on it accounts for these."""
    for partition in partitions:
        cells[OWN] |= 1 << partition


def disown(cells: Cells, partitions: Iterable[int]) -> None:
    """It does not account for these any longer."""
    for partition in partitions:
        cells[OWN] &= ~(1 << partition)


def clear(cells: Cells) -> None:
    """Set all to 0."""
    for index in range(len(cells)):
        cells[index] = 0


def topics_of(node: str, sending: dict[str, Cells]) -> dict[str, int]:
    """By topic, how many messages have been sent, from a producer's cells by port."""
    return {
        f"{node}.{port}/{partition:02x}": sent
        for port, cells in sending.items()
        for partition, sent in enumerate(cells[:PARTITIONS])
        if sent
    }


class LaneCounts(msgspec.Struct, frozen=True, array_like=True):
    """What a taker had counted of one producer's lane when it died."""

    producer_life: int  # that the rest is of
    counted: int  # messages delivered, or dropped in some way
    in_hand: int  # sequence number of the message being handled; -1: none


class Index(msgspec.Struct):
    """The names of the cells, in the order they lie in the file behind it."""

    edges: list[str] = []
    lanes: list[tuple[str, str]] = []  # (edge, producer instance)
    sending: list[str] = []  # output ports
    expecting: list[tuple[str, str]] = []  # (producer instance, output port as <node>.<port>)


class Counts:
    """The cells of one life of one instance. Made with a file, or in plain memory (in tests).

    What an instance comes to know while it runs is counted in more files beside the first, so that no cell ever moves.
    """

    def __init__(self, index: Index, memory: memoryview) -> None:
        self.edges: dict[str, Cells] = {}
        self.lanes: dict[tuple[str, str], Cells] = {}
        self.sending: dict[str, Cells] = {}
        self.expecting: dict[tuple[str, str], Cells] = {}
        self._path: Path | None = None
        self._files = 0
        self.origin = memory.cast("Q")[:1]  # how many of the messages that began here are done
        self._add(index, memory)

    def _add(self, index: Index, memory: memoryview) -> None:
        cells = memory.cast("Q")
        at = 1

        def take(names: Iterable[Name], each: int) -> dict[Name, Cells]:
            nonlocal at
            found = {}
            for name in names:
                found[name] = cells[at : at + each]
                at += each
            return found

        self.edges |= take(index.edges, EDGE_CELLS)
        self.lanes |= take(index.lanes, LANE_CELLS)
        self.sending |= take(index.sending, STREAM_CELLS)
        self.expecting |= take(index.expecting, STREAM_CELLS)

    def extend(self, index: Index) -> None:
        """More cells, all 0."""
        if not (index.edges or index.lanes or index.sending or index.expecting):
            return
        if self._path is None:
            self._add(index, memoryview(bytearray(self.size(index))))
            return
        self._files += 1
        self._add(index, _make(_more(self._path, self._files), index))

    @staticmethod
    def size(index: Index) -> int:
        """Bytes of the cells."""
        lanes, streams = len(index.lanes), len(index.sending) + len(index.expecting)
        return 8 * (1 + len(index.edges) * EDGE_CELLS + lanes * LANE_CELLS + streams * STREAM_CELLS)

    @classmethod
    def in_memory(cls, index: Index) -> Counts:
        """Cells that no file holds."""
        return cls(index, memoryview(bytearray(cls.size(index))))

    @classmethod
    def create(cls, path: Path, index: Index, former: Counts | None = None) -> Counts:
        """Make the file of a new life and map it. It expects what its `former` life did."""

        def fill(memory: memoryview) -> None:
            if former is not None:
                cls(index, memory).inherit(former)

        counts = cls(index, _make(path, index, fill))
        counts._path = path
        return counts

    def inherit(self, former: Counts) -> None:
        """Expect what a former life did."""
        self.origin[0] = former.origin[0]
        for key, cells in self.expecting.items():
            if key in former.expecting:
                cells[:] = former.expecting[key]
                cells[FORMER], cells[BEGAN] = 0, sum(cells[:PARTITIONS])

    @classmethod
    def read(cls, path: Path) -> Counts | None:
        """The cells that a life has left; None when there is no such file."""
        try:
            counts = cls(*_read(path))
        except FileNotFoundError:
            return None
        for number in count(1):
            try:
                counts._add(*_read(_more(path, number)))
            except FileNotFoundError:
                return counts
        return counts

    def statistics(self) -> dict[str, EdgeStatistics]:
        """By edge id."""
        return {edge: statistics(cells) for edge, cells in self.edges.items()}

    def lane_counts(self) -> dict[str, dict[str, LaneCounts]]:
        """By edge and producer."""
        found: dict[str, dict[str, LaneCounts]] = {}
        for (edge, producer), cells in self.lanes.items():
            found.setdefault(edge, {})[producer] = LaneCounts(cells[LANE_LIFE], cells[COUNTED], cells[IN_HAND] - 1)
        return found

    def heard(self) -> dict[str, int]:
        """By `<node>.<port>`, the messages of it that this life is to account for: its gaps, and all that came."""
        found: dict[str, int] = {}
        for (_, source), cells in self.expecting.items():
            found[source] = found.get(source, 0) + cells[FORMER] + sum(cells[:PARTITIONS]) - cells[BEGAN]
        return found

    def sent(self) -> dict[str, int]:
        """By output port, the messages sent on its stream."""
        return {port: sum(cells[:PARTITIONS]) for port, cells in self.sending.items()}


def _more(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}+{number}")


def _make(path: Path, index: Index, fill: Callable[[memoryview], None] = lambda memory: None) -> memoryview:
    """Make a file of cells. Made whole and then named: whoever finds the name finds all of it."""
    head = msgspec.msgpack.encode(index)
    start = _aligned(8 + len(head))
    total = start + Counts.size(index)
    half = path.with_name(path.name + ".new")
    half.write_bytes(len(head).to_bytes(8, "little") + head.ljust(start - 8, b"\0") + bytes(total - start))
    memory = memoryview(_map(half, mmap.ACCESS_WRITE))[start:total]
    fill(memory)
    half.rename(path)
    return memory


def _read(path: Path) -> tuple[Index, memoryview]:
    mapped = _map(path, mmap.ACCESS_READ)
    length = int.from_bytes(mapped[:8], "little")
    index = msgspec.msgpack.decode(mapped[8 : 8 + length], type=Index)
    start = _aligned(8 + length)
    return index, memoryview(mapped)[start : start + Counts.size(index)]


def _map(path: Path, access: int) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR if access == mmap.ACCESS_WRITE else os.O_RDONLY)
    try:
        return mmap.mmap(descriptor, 0, access=access)
    finally:
        os.close(descriptor)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8
