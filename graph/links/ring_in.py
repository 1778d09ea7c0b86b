"""The reading end: payloads in other processes' rings, as read-only views that hold their block while they live. No copy."""

from __future__ import annotations

import ctypes
import mmap
import os
import secrets
import threading
from collections import OrderedDict
from pathlib import Path
from weakref import ref

from graph.links.lane import Lane
from graph.links.shared_memory import (
    ADDRESSES,
    ALIGNMENT,
    COUNT,
    HEADER_BYTES,
    LENGTH,
    MAX_LIFE,
    MAX_NUMBER,
    MAX_READERS,
    NUMBER,
    BlockLost,
    life_of,
    map_shared,
)
from graph.message import Block


class _Mapping:
    """A ring's file as a reader sees it: writable, as ctypes exports nothing else; only read-only views leave this module."""

    def __init__(self, path: Path) -> None:
        """:raises OSError, ValueError: no such file, or an empty one."""
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self.size = os.fstat(file).st_size // mmap.PAGESIZE * mmap.PAGESIZE
            self._map = map_shared(file, self.size)
        finally:
            os.close(file)
        self.name = path.name
        self.words = memoryview(self._map).cast("Q")
        self._type = ctypes.c_ubyte * self.size

    def exporter(self) -> ctypes.Array[ctypes.c_ubyte]:
        """An object of its own for one block: it lives as long as any view made from it, and it keeps the mapping."""
        return self._type.from_buffer(self._map)


_Exporter = ctypes.Array[ctypes.c_ubyte]


class _Way:
    """One ordered way from a producer to this reader: what has come on it, and what is held of that."""

    def __init__(self, producer: str, lane: Lane) -> None:
        self.producer = producer
        self.lane = lane
        self.life = -1  # whose blocks the lane speaks of: the newest life that was seen
        self.newest = 0  # number
        self.held: OrderedDict[int, tuple[Block, ref[_Exporter]]] = OrderedDict()  # ascending numbers
        self.mapping: _Mapping | None = None
        self.open = True
        self.leaves = False  # it goes with the last view

    def begin(self, life: int) -> None:
        """A new life of the producer. Views of the former keep its memory; its writer is gone and waits for nobody."""
        self.life, self.newest, self.held, self.mapping = life, 0, OrderedDict(), None

    def publish(self) -> None:
        if self.life >= 0:
            self.lane.done(self.life, next(iter(self.held)) - 1 if self.held else self.newest)


class RingIn:
    """What one process reads of any number of producers; for any thread.

    Blocks of one producer and link are expected in ascending order, as a socket delivers them: one that comes after a newer
    one is lost.
    """

    def __init__(self, folder: Path, reader: str, life: int) -> None:
        self._folder = folder
        self._reader = reader
        self._life = life
        self._address = secrets.randbits(63) + 1  # of this very process: blocks written for a former life are not ours
        self._ways: dict[tuple[str, str], _Way] = {}  # by producer and link
        self._closing = False
        self._process = os.getpid()
        self._lock = threading.RLock()  # a view may die in any thread, also within a collection while we hold the lock
        self.trouble = ""  # why a lane could not be made: that producer uses the socket

    def attach(self, producer: str, link: str = "") -> None:
        """Show the producer that this reader is there; call before a message of it can come, best before subscribing."""
        with self._lock:
            if (producer, link) in self._ways or self._closing:
                return
            try:
                lane = Lane(self._folder, self._reader, link, self._life, self._address, producer)
            except OSError as error:
                where = f"no shared memory in {self._folder} for {self._reader}"
                self.trouble = f"{where}, payloads come through sockets: {error.strerror}"
                return
            self._ways[producer, link] = _Way(producer, lane)

    def detach(self, producer: str, link: str = "") -> None:
        """Nothing more will be read of a producer on a link. Views stay good: the lane goes when the last one does."""
        with self._lock:
            way = self._ways.pop((producer, link), None)
            if way is not None:
                way.leaves = True
                self._leave_if_empty(way)

    def read(self, producer: str, block: Block, link: str = "") -> memoryview:
        """The payload, read-only. The block is held until this view, and all that was made from it without a copy, is gone.

        :raises BlockLost: it is not there any more, came after a newer one, or the header does not tell the truth.
        """
        with self._lock:
            way = self._ways.get((producer, link))
            if way is None or self._closing:
                raise BlockLost(f"{self._reader} is not attached to the ring of {producer}")
            life = life_of(block.ring, producer)
            if life is None:
                raise BlockLost(f"{block.ring!r} is not a ring of {producer}")
            if life == way.life and block.number <= way.newest:
                exporter = self._again(way, block)
            else:
                exporter = self._first(way, life, block)
            return memoryview(exporter).cast("B")[block.offset : block.offset + block.length].toreadonly()

    def passed(self, producer: str, life: int, number: int, link: str = "") -> None:
        """Blocks up to `number` of that life that have not come by now never will: they need not be kept for this reader.

        :raises BlockLost: there is no such life or number.
        """
        if not (0 <= life < MAX_LIFE and 0 <= number < MAX_NUMBER):
            raise BlockLost(f"no ring of {producer} can have come to block {number} of life {life}")
        with self._lock:
            way = self._ways.get((producer, link))
            if way is None or self._closing or (life, number) <= (way.life, way.newest):
                return
            if life > way.life:
                way.begin(life)
            way.newest = number
            way.publish()

    def close(self) -> None:
        """Leave. Views stay good: a lane goes when the last view of its blocks does."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._closing = True
            for way in list(self._ways.values()):
                way.leaves = True
                self._leave_if_empty(way)

    def _again(self, way: _Way, block: Block) -> _Exporter:
        """A block that was seen before: two messages may name the same one."""
        held, exporting = way.held.get(block.number, (None, None))
        exporter = exporting() if exporting is not None else None
        if exporter is None or held != block:
            raise BlockLost(f"block {block.number} of {way.producer} came again or too late: {way.newest} was here before")
        return exporter

    def _first(self, way: _Way, life: int, block: Block) -> _Exporter:
        if life < way.life:
            raise BlockLost(f"block {block.number} is of life {life} of {way.producer}, and life {way.life} has begun")
        mapping = self._verified(way, block)
        if life > way.life:
            way.begin(life)
        exporter = mapping.exporter()

        def released(_: object) -> None:
            self._released(way, life, block.number)

        way.mapping = mapping
        way.held[block.number] = (block, ref(exporter, released))
        way.newest = block.number
        way.publish()
        return exporter

    def _verified(self, way: _Way, block: Block) -> _Mapping:
        """The ring with this block in it: bounds first, then what the writer noted down in front of the payload."""
        mapping = way.mapping
        if mapping is None or mapping.name != block.ring:
            try:
                mapping = _Mapping(self._folder / block.ring)
            except (OSError, ValueError) as error:
                raise BlockLost(f"ring {block.ring} cannot be opened: {error}") from error
        start = block.offset - HEADER_BYTES
        if start < 0 or start % ALIGNMENT or block.length < 0 or block.offset + block.length > mapping.size:
            raise BlockLost(f"block {block.number} is not within {block.ring}: {block.length} bytes at {block.offset}")
        words, first = mapping.words, start // 8
        if words[first + NUMBER] != block.number or words[first + LENGTH] != block.length or block.number < 1:
            raise BlockLost(f"block {block.number} is not in {block.ring} any more")
        addresses = words[first + ADDRESSES : first + ADDRESSES + min(words[first + COUNT], MAX_READERS)]
        if self._address not in addresses.tolist():
            raise BlockLost(f"block {block.number} of {way.producer} was not written for this life of {self._reader}")
        return mapping

    def _released(self, way: _Way, life: int, number: int) -> None:
        if os.getpid() != self._process:  # a forked child drops its copy of a view; the parent still has its own
            return
        with self._lock:
            if life == way.life and way.held.pop(number, None) is not None:
                way.publish()
                if way.leaves:
                    self._leave_if_empty(way)

    def _leave_if_empty(self, way: _Way) -> None:
        if not way.held and way.open:
            way.open = False
            way.mapping = None
            way.lane.close()
