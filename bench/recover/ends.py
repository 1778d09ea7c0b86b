"""What the three nodes of a run do, the same for every arm; standard library only.

The folder of the run gets `relay.pid`, by every life of the relay, and `heard`: a record (number, sent, heard; monotonic ns) of
each message.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER_VARIABLE = "VOICEGRAPH_BENCH_RUN"  # also how the bench recognises the processes of a run
RECORD = struct.Struct("<qqq")
PERIOD_NS = 1_000_000  # 1000 messages a second

now_ns = time.monotonic_ns


def folder() -> Path:
    return Path(os.environ[FOLDER_VARIABLE])


def times() -> Iterator[tuple[int, int]]:
    """(number, when to send it), without an end."""
    began_ns = now_ns()
    number = 0
    while True:
        yield number, began_ns + number * PERIOD_NS
        number += 1


def relay_is_here() -> None:
    (folder() / "relay.pid").write_text(str(os.getpid()))


class Notes:
    """Where the sink writes down what it hears: at once, for it may be looked at any time."""

    def __init__(self) -> None:
        self._file = os.open(folder() / "heard", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def take(self, number: int, sent_ns: int) -> None:
        os.write(self._file, RECORD.pack(number, sent_ns, now_ns()))


def heard(run: Path) -> list[tuple[int, int, int]]:
    """All records so far."""
    file = run / "heard"
    data = file.read_bytes() if file.exists() else b""
    return list(RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size]))
