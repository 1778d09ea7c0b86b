"""Lanes: what one reader has done with one producer's blocks. The reader writes, the producer looks.

A lane is a small mapped file and a lock on it. The reader holds the lock as long as it lives, whatever ends it, so a lane
that can be locked belongs to a dead reader. The lock is flock(2): every system we run on has it, and it errs to the safe side.
A child that was forked without exec keeps a dead reader's lock, so its blocks stay held until `RingOut.forget`. Record
locks of fcntl(2) err to the other side: a process is never refused its own lock, so a node that reads its own output would look
dead and find its memory overwritten. Open-file-description locks would do, but macOS has none.

Each life of a reader makes a new file with a new address and renames it over the former one: blocks kept for its former life
never become its own.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path

from graph.links.shared_memory import MAX_LIFE, MAX_NUMBER, create, lane_name, map_shared

_MAGIC = 0x3130_656E_616C_6776  # "vglane01"
_KIND, _ADDRESS, _LIFE, _DONE, _CLOSED, _REPLACED = range(6)  # words; all are the reader's but the last, its next life's
_BYTES = 4096


class Lane:
    """The reader's end. Creating it makes this reader visible to the producer."""

    def __init__(self, folder: Path, reader: str, link: str, life: int, address: int, producer: str) -> None:
        """:raises OSError: the file cannot be made."""
        self._path = folder / lane_name(reader, link, producer)
        fresh = folder / f"{self._path.name}.{address:016x}"
        self._file = create(fresh, _BYTES)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._map = map_shared(self._file, _BYTES)
            self._words = memoryview(self._map).cast("Q")
            self._words[_ADDRESS], self._words[_LIFE], self._words[_KIND] = address, life, _MAGIC
            former = _opened(self._path, os.O_RDWR)
            fresh.replace(self._path)
        except OSError:
            os.close(self._file)
            fresh.unlink(missing_ok=True)
            raise
        if former is not None:  # its blocks stay held if, against expectation, its reader lives
            os.pwrite(former, (1).to_bytes(8, sys.byteorder), _REPLACED * 8)
            os.close(former)

    def done(self, life: int, number: int) -> None:
        """Everything up to `number` of that life of the producer may be overwritten."""
        self._words[_DONE] = life * MAX_NUMBER + number  # one store: life and number never disagree

    def close(self) -> None:
        """The reader holds nothing any more and goes."""
        self._words[_CLOSED] = 1
        with suppress(FileNotFoundError):  # the folder may be gone before its last node is
            if self._path.stat().st_ino == os.fstat(self._file).st_ino:
                self._path.unlink()
        self._words.release()
        self._map.close()
        os.close(self._file)


class ReaderState:
    """The producer's end: looks at a reader's lane."""

    def __init__(self, file: int, life: int) -> None:
        self._file = file
        self._map = mmap.mmap(file, _BYTES, access=mmap.ACCESS_READ)
        self._words = memoryview(self._map).cast("Q")
        self._base = life * MAX_NUMBER
        self.inode = os.fstat(file).st_ino
        self.address: int = self._words[_ADDRESS]
        self.life: int = self._words[_LIFE]
        self.dead = False
        self.holds = 0  # blocks the writer keeps for it; counted by the ring

    @classmethod
    def open(cls, folder: Path, reader: str, link: str, producer: str, life: int) -> ReaderState | None:
        """The lane of a reader as this life of the producer sees it; None when there is none.

        :raises OSError: it cannot be opened.
        """
        file = _opened(folder / lane_name(reader, link, producer), os.O_RDONLY)
        if file is None:
            return None
        try:
            return cls(file, life)
        except OSError:
            os.close(file)
            raise

    @property
    def present(self) -> bool:
        """True when new blocks should be kept for this reader."""
        return not (self.dead or self._words[_CLOSED] or self._words[_REPLACED])

    def has_done(self, number: int) -> bool:
        """True when the block may be overwritten as far as this reader is concerned."""
        done: int = self._words[_DONE] - self._base
        return number <= done < MAX_NUMBER or self.dead or self._words[_CLOSED] == 1

    def probe(self) -> bool:
        """Ask the lock whether the reader lives; once dead it stays dead."""
        if not self.dead:
            try:
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            self.dead = True
            fcntl.flock(self._file, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        self._words.release()
        self._map.close()
        os.close(self._file)


def _opened(path: Path, flags: int) -> int | None:
    """A lane's file, if there is one and it is a lane."""
    try:
        file = os.open(path, flags | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    kind = os.pread(file, 8, _KIND * 8)
    if kind == _MAGIC.to_bytes(8, sys.byteorder) and os.fstat(file).st_size == _BYTES:
        return file
    os.close(file)
    return None


assert MAX_LIFE * MAX_NUMBER == 1 << 64
