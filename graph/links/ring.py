"""One file of a ring: where blocks are put, and when their room is free again."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from graph.links.lane import ReaderState
from graph.links.shared_memory import ADDRESSES, COUNT, HEADER_BYTES, LENGTH, NUMBER, aligned, create, map_shared


@dataclass(slots=True)
class _Held:
    """A block in use: its bytes in the ring, and the readers that have not been seen to be done with it."""

    number: int
    start: int
    end: int
    pending: list[ReaderState]

    def done(self, probe: bool) -> bool:
        while self.pending:
            reader = self.pending[-1]
            if not reader.has_done(self.number) and not (probe and not reader.probe()):
                return False
            self.pending.pop()
            reader.holds -= 1
        return True


class Ring:
    """One file. Blocks are contiguous and leave in the order they came."""

    def __init__(self, path: Path, size: int) -> None:
        """:raises OSError: the file cannot be made."""
        self.path = path
        self.size = size
        self._file = create(path, size)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # tells a next life that this one is not dead
            self._map = map_shared(self._file, size)
        except OSError:
            os.close(self._file)
            path.unlink(missing_ok=True)
            raise
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")
        self.held: deque[_Held] = deque()
        self._head = 0  # where the next block starts

    def reclaim(self, probe: bool) -> None:
        """Free what is done with, oldest first; with `probe`, also what only dead readers hold (a system call each)."""
        while self.held and self.held[0].done(probe):
            self.held.popleft()
        if not self.held:
            self._head = 0  # memory that was just used is still in the cache

    def place(self, size: int) -> int | None:
        """Where `size` bytes can go, without taking them."""
        if not self.held:
            return 0 if size <= self.size else None
        tail = self.held[0].start
        if self._head > tail:
            if size <= self.size - self._head:
                return self._head
            return 0 if size <= tail else None
        return self._head if size <= tail - self._head else None

    def put(self, start: int, number: int, payload: memoryview, readers: list[ReaderState]) -> int:
        """Write a block at a place that was found free; where its payload begins."""
        first = start // 8
        begin = start + HEADER_BYTES
        self._words[first + NUMBER] = 0  # a former block's header must not stand before a half-written payload
        self._bytes[begin : begin + len(payload)] = payload
        self._words[first + LENGTH] = len(payload)
        self._words[first + COUNT] = len(readers)
        for k, reader in enumerate(readers, first + ADDRESSES):
            self._words[k] = reader.address
            reader.holds += 1
        self._words[first + NUMBER] = number
        self._head = begin + aligned(len(payload))
        self.held.append(_Held(number, start, self._head, readers))
        return begin

    def close(self, unlink: bool) -> None:
        """Unmap; readers keep their own mappings, and what they have not opened yet stays if it is not unlinked."""
        self._words.release()
        self._bytes.release()
        self._map.close()
        if unlink:
            self.path.unlink(missing_ok=True)
        os.close(self._file)
