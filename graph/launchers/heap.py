"""What a process does to its memory before it forks, so that its children copy little of it.

A child shares every page until one of the two writes to it. CPython writes wherever it counts a reference, so a child copies
some page for whatever it uses; here it is kept from copying those that it does not use.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_IN_A_ROW = 8  # chunks that lie behind each other: they come from the end of the heap, and no hole of that size is left
_SIZES = (65536, 32768, 16384, 8192, 6144, 4096, 3072, 2048, 1536, *range(1280, 16, -16))  # bytes, the large ones first
_BETWEEN = 32  # bytes between two chunks of glibc at most, its own and those it rounds up by
_CHUNKS_MAX = 20_000


def settle() -> None:
    """Once all is loaded, and again when there is more."""
    gc.collect()
    gc.freeze()  # a collection writes to every object that it looks at
    # A method that is looked up takes the place of another one there, whose name is then counted down.
    getattr(sys, "_clear_type_cache", gc.collect)()


def fill_holes() -> None:
    """Take what is free between all that was loaded, for good: what a child allocates then lies together at the end of the
    heap, and not in as many pages as there are holes."""
    malloc = ctypes.CDLL(None).malloc
    malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
    left = _CHUNKS_MAX
    for size in _SIZES:
        row, last = 0, 0
        while row < _IN_A_ROW and left:
            chunk = malloc(size) or 0
            row = row + 1 if 0 < chunk - last <= size + _BETWEEN else 0
            last, left = chunk, left - 1
