from __future__ import annotations

import os
import random
import signal
import zlib
from pathlib import Path

import pytest

from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
from graph.links.shared_memory import BlockLost

from .ring_ends import (
    KB,
    MB,
    announced,
    fill,
    payload,
    peers,
    reader,
    reader_with_a_child,
    stream_reader,
    writer,
)


def test_a_new_life_of_a_reader_starts_clean(folder: Path, out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    view = dst.read("src", blocks[0])
    new = RingIn(folder, "dst", 1)  # its former life still lives, as when one version takes over from another
    new.attach("src")
    with pytest.raises(BlockLost, match="not written for"):
        new.read("src", blocks[1])
    new.passed("src", 0, blocks[-1].number)
    assert out.write(bytes(100 * KB), ["dst"]) is None
    assert view == payload(1, 100 * KB)
    del view
    dst.passed("src", 0, blocks[-1].number)
    for _ in range(3):
        for block in fill(out):
            assert new.read("src", block) == payload(block.number, 100 * KB)
    dst.close()
    assert len(list(folder.glob("*.lane"))) == 1  # it has not taken the lane of its next life away
    assert out.write(b"x", ["dst"]) is not None
    new.close()


def test_forgetting_spares_the_next_life(folder: Path, out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    out.forget("dst", 0)
    new = RingIn(folder, "dst", 1)
    new.attach("src")
    held = [new.read("src", b) for b in fill(out)]
    assert len(held) == len(blocks)
    out.forget("dst", 0)
    assert out.write(bytes(100 * KB), ["dst"]) is None
    assert [bytes(v[:8]) for v in held] == [payload(b + 1, 8) for b in range(len(blocks), 2 * len(blocks))]
    del held
    assert len(fill(out)) == len(blocks)
    new.close()


def test_a_new_life_of_the_writer(folder: Path, out: RingOut, dst: RingIn) -> None:
    view = dst.read("src", announced(out, payload(1, KB), ["dst"]))
    dst.read("src", announced(out, payload(2, KB), ["dst"]))
    new = RingOut(folder, "src", 1, MB)
    assert len(list(folder.glob("src.0.*.ring"))) == 1  # its writer lives
    blocks = fill(new)  # what was done with the former life's numbers counts for nothing
    assert [dst.read("src", b) == payload(b.number, 100 * KB) for b in blocks] == [True] * len(blocks)
    assert len(fill(new)) == len(blocks)
    assert view == payload(1, KB)
    with pytest.raises(BlockLost, match="life 1 has begun"):
        dst.read("src", announced(out, payload(3, KB), ["dst"]))
    fill(out)
    assert view == payload(1, KB)
    new.close()


def test_a_killed_reader_gives_back_what_it_held(folder: Path, out: RingOut, dst: RingIn) -> None:
    with peers(1, reader, folder, 0, 1000) as (peer,):
        assert peer.hear() == "attached"
        both = ("dst", "dst.0")
        blocks = fill(out, readers=both)
        assert [peer.ask(b) for b in blocks] == [zlib.crc32(payload(b.number, 100 * KB)) for b in blocks]
        dst.passed("src", 0, out.number)
        assert out.write(bytes(100 * KB), both) is None
        peer.kill()
        for _ in range(5):
            assert len(fill(out, readers=both)) == len(blocks)
            dst.passed("src", 0, out.number)
        assert out.write(b"x", ["dst.0"]) is None  # known to be dead
    with peers(1, reader, folder, 1, 0) as (peer,):
        assert peer.hear() == "attached"
        for _ in range(5):
            again = fill(out, readers=both)
            assert len(again) == len(blocks)
            assert [peer.ask(b) for b in again] == [zlib.crc32(payload(b.number, 100 * KB)) for b in again]
            dst.passed("src", 0, out.number)
        assert peer.ask(None) == "closed"


def test_a_killed_writer_leaves_whole_views(folder: Path, dst: RingIn) -> None:
    with peers(1, writer, folder, 0, 64 * KB) as (peer,):
        assert peer.hear() == "ready"
        one = RingIn(folder, "dst", 0)
        one.attach("src")
        views = [one.read("src", peer.ask(seed)) for seed in range(20)]
        peer.send(None)
        assert peer.hear() == "busy"
        peer.kill()  # in the middle of a write
    assert all(view == payload(seed, 64 * KB) for seed, view in enumerate(views))
    assert list(folder.glob("src.0.*.ring"))
    with peers(1, writer, folder, 1, 64 * KB) as (peer,):
        assert peer.hear() == "ready"
        assert not list(folder.glob("src.0.*.ring"))
        for seed in range(200):
            view = one.read("src", peer.ask(seed))
            assert view == payload(seed, 64 * KB)
        assert all(view == payload(seed, 64 * KB) for seed, view in enumerate(views))
    del views, view
    one.close()


def test_eight_readers_in_eight_processes(folder: Path) -> None:
    out = RingOut(folder, "src", 0, 4 * MB)
    names = [f"dst.{k}" for k in range(8)]
    with peers(8, reader, folder, 0, 5) as readers:
        assert [r.hear() for r in readers] == ["attached"] * 8
        for k in range(100):
            data = payload(k, 100 * KB)
            block = announced(out, data, names)
            for one in readers:
                one.send(block)
            assert [one.hear() for one in readers] == [zlib.crc32(data)] * 8
        assert [one.ask(None) for one in readers] == ["closed"] * 8
    out.close()
    assert list(folder.iterdir()) == []


def test_ten_thousand_large_payloads_at_three_speeds(folder: Path) -> None:
    out = RingOut(folder, "src", 0, 4 * MB)
    draw = random.Random(7)
    data = os.urandom(256 * KB)
    full = 0
    with peers(3, stream_reader, folder) as readers:
        assert [r.hear() for r in readers] == ["attached"] * 3
        names = [f"dst.{k}" for k in range(3)]
        sent = 0
        while sent < 10_000:
            begin = draw.randrange(192 * KB)
            part = memoryview(data)[begin : begin + draw.randrange(64 * KB, 256 * KB)]
            block = out.write(part, names)
            if block is None:  # its turn will come: a reader has to go on first, and it does
                full += 1
                os.sched_yield()
                continue
            checksum = zlib.crc32(part)
            for one in readers:
                one.send((block, checksum))
            sent += 1
        for one in readers:
            one.send(None)
        assert [one.hear() for one in readers] == [(10_000, 0)] * 3
    assert out.statistics.written == 10_000
    assert full > 0  # the ring was full now and then, so memory was really used again
    out.close()
    assert list(folder.iterdir()) == []


def test_a_child_that_outlives_its_reader_holds_nothing_once_forgotten(folder: Path, out: RingOut) -> None:
    with peers(1, reader_with_a_child, folder) as (peer,):
        child = peer.hear()
        try:
            blocks = fill(out, readers=("dst.0",))
            assert peer.ask(blocks[0]) == "held"
            peer.kill()
            assert out.write(bytes(100 * KB), ["dst.0"]) is None  # the child has the lock
            new = RingIn(folder, "dst.0", 1)
            new.attach("src")
            out.forget("dst.0", 0)
            again = fill(out, readers=("dst.0",))
            assert [new.read("src", b) == payload(b.number, 100 * KB) for b in again] == [True] * len(blocks)
            new.close()
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("received", [0, 1, 10])
def test_a_forked_child_releases_nothing_of_its_parent_s(out: RingOut, dst: RingIn, received: int) -> None:
    blocks = fill(out)
    views = [dst.read("src", b) for b in blocks[:received]]
    child = os.fork()
    if child == 0:
        try:
            views.clear()
            dst.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    views += [dst.read("src", b) for b in blocks[received:]]
    assert out.write(bytes(100 * KB), ["dst"]) is None
    assert [v == payload(b.number, 100 * KB) for b, v in zip(blocks, views, strict=True)] == [True] * len(blocks)
    views.clear()
    assert len(fill(out)) == len(blocks)
