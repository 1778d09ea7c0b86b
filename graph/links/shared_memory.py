"""Large payloads between processes of one host: what the writing and the reading end of a ring agree on.

The message still travels through its socket; its payload lies in a ring, an own mmap file in a folder of the run, and the
header names the `Block`. `multiprocessing.shared_memory` is no basis: in Python 3.11 its resource tracker unlinks a
block when any reader exits.

    <instance>.<life>.<k>.ring   the k-th ring of one life of a producing instance (graph/links/ring.py)
    <reader>@<instance>.lane     what one reader has done with that producer's blocks (graph/links/lane.py)

A lane belongs to one ordered way from producer to reader, such as a pair of sockets: what did not come before the next block
was lost. Where several links join the same two processes each has its lane, `<reader>+<link>@<instance>.lane`.

A block in the ring is 64-byte aligned words of 8 bytes, native order (all ends are on one host):

    number, length, count of readers, the address of each reader (at most 64), padding; then the payload

The number is the block's generation: it counts up over all rings of a producer's life, so a place that was used again
holds another number. The addresses say for which reader processes the writer keeps the block; nobody else may use it.

Memory order: Python has no fence. An aligned item assignment through a `memoryview` of format "Q" is one 8-byte store on x86-64
and on 64-bit ARM, so a word is never seen half written. That a reader who sees the number sees the payload rests on the
socket: the message that names a block is sent after it was written, and the system calls and locks of both ends order the two.
In the other direction x86-64 never lets a store overtake earlier loads; on ARM the lock that is taken between a view's end and
the store of what was done stands between them.
"""

from __future__ import annotations

import mmap
import os
import re
from functools import lru_cache
from pathlib import Path

from graph.errors import MessageError

ALIGNMENT = 64  # bytes: a cache line, and what numpy and SIMD code like best
MAX_READERS = 64  # addresses in a block's header
NUMBER, LENGTH, COUNT, ADDRESSES = range(4)  # words of a block's header
HEADER_BYTES = (ADDRESSES + MAX_READERS + 5) * 8  # 576, a multiple of ALIGNMENT
MAX_LIFE = 1 << 24  # a life and a number share one word of the lane
MAX_NUMBER = 1 << 40

_POPULATE = getattr(mmap, "MAP_POPULATE", 0)  # Linux: page tables are filled at once, not at 0.1–0.5 µs a page later
_ZEROS = bytes(1 << 20)


class BlockLost(MessageError):
    """A block is not there any more, or the header that names it is wrong."""


def ring_name(instance: str, life: int, generation: int) -> str:
    return f"{instance}.{life}.{generation}.ring"


@lru_cache(maxsize=256)
def life_of(ring: str, instance: str) -> int | None:
    """The life that a ring's name tells; None when it is not a name of this instance's rings."""
    found = re.fullmatch(rf"{re.escape(instance)}\.([0-9]{{1,8}})\.[0-9]{{1,8}}\.ring", ring)
    return int(found[1]) if found and int(found[1]) < MAX_LIFE else None


def lane_name(reader: str, link: str, instance: str) -> str:
    return f"{reader}+{link}@{instance}.lane" if link else f"{reader}@{instance}.lane"


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def create(path: Path, size: int) -> int:
    """A new file of `size` bytes, its room really there: a store into a sparse file on a full device would be a SIGBUS.

    :raises OSError: no room, no folder, no permission, or the file exists. No file is left then.
    """
    made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(made, 0, size)
        else:  # macOS
            written = 0
            while written < size:
                written += os.write(made, _ZEROS[: size - written])
    except OSError:
        os.close(made)
        path.unlink(missing_ok=True)
        raise
    return made


def map_shared(file: int, size: int) -> mmap.mmap:
    """The file's memory, readable and writable, its pages already mapped."""
    return mmap.mmap(file, size, flags=mmap.MAP_SHARED | _POPULATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
