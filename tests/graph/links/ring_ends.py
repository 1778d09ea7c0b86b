"""Processes at both ends of a ring, to be spawned, stopped and killed by tests."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
from graph.links.shared_memory import BlockLost
from graph.message import Block

KB, MB = 1 << 10, 1 << 20
PATIENCE_S = 60


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """In memory where there is a file system for it."""
    return tempfile.TemporaryDirectory(prefix="vg-test-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def payload(seed: int, size: int) -> bytes:
    """Bytes that tell from each other wherever two payloads overlap."""
    return b"".join((seed * 1_000_003 + k).to_bytes(8, "little") for k in range(-(-size // 8)))[:size]


class Peer:
    """One process at the other end of a pipe."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process = process
        self._pipe = pipe

    def send(self, said: Any) -> None:
        self._pipe.send(said)

    def hear(self) -> Any:
        """The next thing it says; fails, not hangs, when it says nothing."""
        assert self._pipe.poll(PATIENCE_S), "the process says nothing"
        return self._pipe.recv()

    def ask(self, said: Any) -> Any:
        self.send(said)
        return self.hear()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def peers(count: int, run: Callable[..., None], *arguments: Any) -> Iterator[list[Peer]]:
    """`count` processes that run `run(pipe, k, *arguments)`; none is left behind."""
    spawn = multiprocessing.get_context("spawn")
    made = []
    try:
        for k in range(count):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=run, args=(theirs, k, *arguments), daemon=True)
            process.start()
            theirs.close()
            made.append(Peer(process, ours))
        yield made
    finally:
        for peer in made:
            peer.kill()


def reader(pipe: Connection, k: int, folder: Path, life: int, keep: int) -> None:
    """Reads the blocks it is told of, keeps the newest `keep` views, answers with their checksum, or None if lost."""
    ring = RingIn(folder, f"dst.{k}", life)
    ring.attach("src")
    pipe.send("attached")
    views: list[memoryview] = []
    while True:
        block = pipe.recv()
        if block is None:
            break
        try:
            view = ring.read("src", block)
        except BlockLost:
            pipe.send(None)
            continue
        views.append(view)
        pipe.send(zlib.crc32(view))
        del view
        del views[: max(0, len(views) - keep)]
    views.clear()
    ring.close()
    pipe.send("closed")


def reader_with_a_child(pipe: Connection, k: int, folder: Path) -> None:
    """Forks a child that lives on (a minute at most), then holds the blocks it is told of."""
    ring = RingIn(folder, f"dst.{k}", 0)
    ring.attach("src")
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_S)
        signal.pause()
    pipe.send(child)
    views = []
    while True:
        views.append(ring.read("src", pipe.recv()))
        pipe.send("held")


def stream_reader(pipe: Connection, k: int, folder: Path) -> None:
    """Reads a stream of (block, checksum) at a speed of its own and keeps some views; says how many were right."""
    ring = RingIn(folder, f"dst.{k}", 0)
    ring.attach("src")
    pipe.send("attached")
    right = wrong = 0
    kept: list[tuple[memoryview, int]] = []
    while True:
        said = pipe.recv()
        if said is None:
            break
        block, checksum = said
        kept.append((ring.read("src", block), checksum))
        if len(kept) > 7 * k:  # looked at late: by then a wrong reclaim would have overwritten it
            view, expected = kept.pop(0)
            for _ in range(1 + 2 * k):  # slower readers hold the ring up
                found = zlib.crc32(view)
            right, wrong = right + (found == expected), wrong + (found != expected)
            del view
    right += sum(zlib.crc32(view) == expected for view, expected in kept)
    wrong += sum(zlib.crc32(view) != expected for view, expected in kept)
    kept.clear()
    ring.close()
    pipe.send((right, wrong))


def writer(pipe: Connection, k: int, folder: Path, life: int, size: int) -> None:
    """Writes a block of `size` bytes for each seed it is told; `None` makes it write without end and without a word."""
    ring = RingOut(folder, "src", life, 1 << 22)
    pipe.send("ready")
    while True:
        seed = pipe.recv()
        if seed is None:
            break
        pipe.send(ring.write(payload(seed, size), ["dst"]))
    pipe.send("busy")
    data = os.urandom(size)
    while True:
        ring.write(data, ["dst"])


def announced(ring: RingOut, data: bytes | memoryview, readers: list[str], link: str = "") -> Block:
    block = ring.write(data, readers, link)
    assert block is not None, ring.trouble or ring.statistics
    return block


def fill(out: RingOut, size: int = 100 * KB, readers: tuple[str, ...] = ("dst",)) -> list[Block]:
    """Write until there is no room."""
    blocks = []
    while (block := out.write(payload(out.number + 1, size), readers)) is not None:
        blocks.append(block)
    return blocks
