"""What a process does to its memory before it forks, so that its children copy little of it.

A child shares every page until one of the two writes to it. CPython writes wherever it counts a reference, so a child copies
some page for whatever it uses; here it is kept from copying those that it does not use.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterable, Set
from types import CodeType, FunctionType
from typing import Any

_IN_A_ROW = 8  # chunks that lie behind each other: they come from the end of the heap, and no hole of that size is left
_SIZES = (65536, 32768, 16384, 8192, 6144, 4096, 3072, 2048, 1536, *range(1280, 16, -16))  # bytes, the large ones first
_BETWEEN = 32  # bytes between two chunks of glibc at most, its own and those it rounds up by
_SMALL = range(16, 513, 16)  # bytes: what Python has pools of its own for (Objects/obmalloc.c)
_CHUNKS_MAX = 20_000  # of each of the two

_replaced: list[CodeType] = []  # kept, or it would leave holes


def settle() -> None:
    """Once all is loaded, and again when there is more."""
    gc.collect()
    gc.freeze()  # a collection writes to every object that it looks at
    # A method that is looked up takes the place of another one there, whose name is then counted down.
    getattr(sys, "_clear_type_cache", gc.collect)()


def gather(ran: Set[int]) -> None:
    """Have the functions whose code has these ids run copies of it, which lie together: a call writes to its code (counts the
    reference), and most code on the same page is of functions that no node calls.

    Call it when the holes are filled, or the copies lie there; and fill them again afterwards."""
    copies: dict[int, CodeType] = {}

    def copy(code: CodeType) -> CodeType:
        if id(code) not in copies:
            inner = tuple(copy(one) if isinstance(one, CodeType) and id(one) in ran else one for one in code.co_consts)
            copies[id(code)] = code.replace(co_consts=inner)
            _replaced.append(code)
        return copies[id(code)]

    for function in gc.get_objects():
        if type(function) is FunctionType and id(function.__code__) in ran:
            function.__code__ = copy(function.__code__)


def fill_holes() -> None:
    """Take what is free between all that was loaded, for good: what a child allocates then lies together at the end of the
    heap, and not in as many pages as there are holes."""
    _fill(ctypes.CDLL(None).malloc, _SIZES, _BETWEEN)
    _fill(ctypes.pythonapi.PyObject_Malloc, _SMALL, 0)


def _fill(malloc: Any, sizes: Iterable[int], between: int) -> None:
    malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
    left = _CHUNKS_MAX
    for size in sizes:
        row, last = 0, 0
        while row < _IN_A_ROW and left:
            chunk = malloc(size) or 0
            row = row + 1 if size <= chunk - last <= size + between else 0
            last, left = chunk, left - 1
