"""The writing end: a producer's ring of payloads. One copy in; never waits: without room the caller uses the socket."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

import msgspec

from graph.links.lane import ReaderState
from graph.links.ring import Ring
from graph.links.shared_memory import HEADER_BYTES, MAX_LIFE, MAX_READERS, aligned, life_of, ring_name
from graph.message import Block

_Way: TypeAlias = tuple[str, str]  # reader, link

CAPACITY = 64 << 20  # bytes; 21 frames of 1080p video in YUV 4:2:0
SMALLEST = 1 << 20  # bytes; stays in a second-level cache
_PAYLOADS = 8  # of the size that made a ring necessary, so many fit
_RETRY_AFTER = 256  # writes, once a ring could not be made: asking for room costs some 30 µs


class RingStatistics(msgspec.Struct):
    """What one producer's ring has counted."""

    written: int = 0
    bytes: int = 0  # payload bytes written
    full: int = 0  # no room, or the payload is longer than half of the capacity
    unattached: int = 0  # a reader has not shown itself yet, or none is there


class RingOut:
    """The ring of one producing process, to be used by one thread.

    It starts small and grows: a payload or a pressure that does not fit makes a new file of twice the size or more, up to
    `capacity`. Outgrown files go when their last block does; as long as they are held they take less than `capacity` on top.
    Making a file takes about 0.4 ms a megabyte, once (the kernel clears its pages).
    """

    def __init__(self, folder: Path, instance: str, life: int, capacity: int = CAPACITY) -> None:
        """Makes no file before the first write, but removes those of former lives.

        :param life: grows with each life of the instance in this folder, below 2**24.
        """
        if not 0 <= life < MAX_LIFE:
            raise ValueError(f"life {life} of {instance} is not below {MAX_LIFE}")
        self._folder = folder
        self._instance = instance
        self._life = life
        self._capacity = capacity // mmap.PAGESIZE * mmap.PAGESIZE
        self.number = 0  # of the last block written
        self._generation = 0
        self._ring: Ring | None = None
        self._retired: list[Ring] = []  # too small by now, with blocks that readers still hold
        self._readers: dict[_Way, ReaderState] = {}
        self._former: list[tuple[_Way, ReaderState]] = []  # earlier lives of readers, until nothing is kept for them
        self._last: dict[_Way, int] = {}
        self._retry_at = 0  # in attempts to make a ring
        self._attempts = 0
        self.statistics = RingStatistics()
        self.trouble = ""  # why no ring, or no bigger one, could be made, the first time that happened
        self._remove_former_lives()

    def write(self, payload: bytes | memoryview, readers: Collection[str], link: str = "") -> Block | None:
        """Copy a payload (contiguous, any format) into the ring for these readers, whose messages travel by that link.

        None when it has to go through the socket: no room, longer than half of the capacity, more than 64 readers, a reader
        that has not attached yet, or none alive. A reader known to be dead does not count: should its next life get this
        block's message, it finds the block lost.
        """
        data = memoryview(payload).cast("B")
        present = self._present(readers, link)
        if not 0 < len(present) <= MAX_READERS:
            self.statistics.unattached += 1
            return None
        found = self._room(HEADER_BYTES + aligned(len(data))) if len(data) <= self._capacity // 2 else None
        if found is None:
            self.statistics.full += 1
            return None
        ring, start = found
        self.number += 1
        offset = ring.put(start, self.number, data, list(present.values()))
        self._last.update(dict.fromkeys(present, self.number))
        self.statistics.written += 1
        self.statistics.bytes += len(data)
        return Block(ring.path.name, self.number, offset, len(data))

    def last(self, reader: str, link: str = "") -> int:
        """The number of the last block written for a reader, 0 if there is none."""
        return self._last.get((reader, link), 0)

    def forget(self, reader: str, life: int) -> None:
        """A reader's process of this life (and so all before it) died: what it held is free, whatever its lock says."""
        for (name, _), state in [*self._former, *self._readers.items()]:
            if name == reader and state.life <= life:
                state.dead = True

    def close(self) -> None:
        """Remove the files. A ring that a living reader has yet to read from stays for it, until the run's folder goes."""
        for ring in [*self._retired, *([self._ring] if self._ring else [])]:
            ring.reclaim(probe=True)
            ring.close(unlink=not ring.held)
        for state in [*self._readers.values(), *(state for _, state in self._former)]:
            state.close()
        self._ring = None
        self._retired, self._readers, self._former = [], {}, []

    def _present(self, readers: Collection[str], link: str) -> dict[_Way, ReaderState]:
        """The readers that are there; empty when one was never seen."""
        present = {}
        for reader in readers:
            way = (reader, link)
            state = self._readers.get(way)
            if state is None or not state.present:
                state = self._look(way, state)
                if state is None:
                    return {}
            if state.present:
                present[way] = state
        return present

    def _look(self, way: _Way, known: ReaderState | None) -> ReaderState | None:
        """See whether a reader has come, or come back; else what was known of it."""
        try:
            seen = ReaderState.open(self._folder, *way, self._instance, self._life)
        except OSError as error:
            self._tell(error)
            return known
        if seen is None or (known is not None and seen.inode == known.inode):
            if seen is not None:
                seen.close()
            return known
        seen.probe()
        if known is not None:
            self._former.append((way, known))
        self._readers[way] = seen
        return seen

    def _room(self, size: int) -> tuple[Ring, int] | None:
        """A ring and a place in it; makes a bigger ring when this one is too small."""
        if self._retired or self._former:
            self._tidy()
        ring = self._ring
        if ring is not None:
            for probe in (False, True):
                ring.reclaim(probe)
                start = ring.place(size)
                if start is not None:
                    return ring, start
        ring = self._grown(size)
        return None if ring is None else (ring, 0)

    def _grown(self, size: int) -> Ring | None:
        """A new ring that holds eight blocks of `size`, or as many as there is room for on the device."""
        now = self._ring.size if self._ring else 0
        wanted = min(self._capacity, max(2 * now, SMALLEST, 1 << (_PAYLOADS * size - 1).bit_length()))
        if wanted <= now or wanted < size:
            return None
        self._attempts += 1
        if self._attempts < self._retry_at:
            return None
        while wanted > now and wanted >= size:
            try:
                ring = Ring(self._folder / ring_name(self._instance, self._life, self._generation + 1), wanted)
            except OSError as error:
                self._tell(error)
                wanted = wanted // 2 // mmap.PAGESIZE * mmap.PAGESIZE
                continue
            self._generation += 1
            if self._ring is not None:
                self._retired.append(self._ring)
            self._ring = ring
            return ring
        self._retry_at = self._attempts + _RETRY_AFTER
        return None

    def _tell(self, error: OSError) -> None:
        if not self.trouble:
            where = f"no shared memory in {self._folder} for {self._instance}"
            self.trouble = f"{where}, payloads go through sockets: {error.strerror}"

    def _tidy(self) -> None:
        """Let go of retired rings and of readers' former lives that hold nothing any more."""
        for ring in list(self._retired):
            ring.reclaim(probe=True)
            if not ring.held:
                ring.close(unlink=True)
                self._retired.remove(ring)
        for entry in list(self._former):
            if entry[1].holds == 0:
                entry[1].close()
                self._former.remove(entry)

    def _remove_former_lives(self) -> None:
        try:
            with os.scandir(self._folder) as found:  # `glob` would compile an expression, which takes 0.3 MB of each node
                names = [one.name for one in found if one.name.startswith(f"{self._instance}.")]
        except OSError:
            return  # told as soon as a ring is to be made there
        for name in names:
            life = life_of(name, self._instance)
            if life is None or life == self._life:
                continue
            path = self._folder / name
            try:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                self._tell(error)
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                continue  # it lives: two versions of a node overlap while one takes over from the other
            finally:
                os.close(file)
