from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import tempfile
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from graph.links.ring_in import RingIn
from graph.links.ring_out import CAPACITY, SMALLEST, RingOut
from graph.links.shared_memory import ALIGNMENT, HEADER_BYTES, BlockLost
from graph.message import Block

from .ring_ends import announced, payload, peers, reader, stream_reader, writer

KB, MB = 1 << 10, 1 << 20


def memory_folder() -> tempfile.TemporaryDirectory[str]:
    """In memory where there is a file system for it."""
    return tempfile.TemporaryDirectory(prefix="vg-test-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as made:
        yield Path(made)


@pytest.fixture
def out(folder: Path) -> Iterator[RingOut]:
    ring = RingOut(folder, "src", 0, MB)
    yield ring
    ring.close()


@pytest.fixture
def dst(folder: Path) -> Iterator[RingIn]:
    ring = RingIn(folder, "dst", 0)
    ring.attach("src")
    yield ring
    ring.close()


def fill(out: RingOut, size: int = 100 * KB, readers: tuple[str, ...] = ("dst",)) -> list[Block]:
    """Write until there is no room."""
    blocks = []
    while (block := out.write(payload(out.number + 1, size), readers)) is not None:
        blocks.append(block)
    return blocks


def test_a_payload_comes_out_as_it_went_in(out: RingOut, dst: RingIn) -> None:
    sizes = [1, 63, 64, 65, 4096, 100_000]
    blocks = [announced(out, payload(k, size), ["dst"]) for k, size in enumerate(sizes)]
    assert [b.number for b in blocks] == [1, 2, 3, 4, 5, 6]
    for k, (block, size) in enumerate(zip(blocks, sizes, strict=True)):
        view = dst.read("src", msgspec.msgpack.decode(msgspec.msgpack.encode(block), type=Block))
        assert view == payload(k, size)
        assert (view.format, view.ndim, view.readonly) == ("B", 1, True)
        assert block.offset % ALIGNMENT == 0
    assert (out.statistics.written, out.statistics.bytes, out.last("dst")) == (6, sum(sizes), 6)


def test_a_payload_of_any_format_is_taken_as_its_bytes(out: RingOut, dst: RingIn) -> None:
    samples = memoryview(payload(1, 4000)).cast("h")
    assert dst.read("src", announced(out, samples, ["dst"])) == payload(1, 4000)  # type: ignore[arg-type]


def test_nothing_is_made_before_the_first_write(folder: Path, out: RingOut) -> None:
    assert list(folder.iterdir()) == []


def test_a_view_cannot_be_written_to(out: RingOut, dst: RingIn) -> None:
    view = dst.read("src", announced(out, b"abc", ["dst"]))
    with pytest.raises(TypeError):
        view[0] = 0  # type: ignore[index]


def test_a_slice_alone_holds_its_block(out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    views = [dst.read("src", b) for b in blocks]
    piece = views[0][1000:2000]
    del views
    assert out.write(payload(0, 100 * KB), ["dst"]) is None  # the oldest is held, by a slice
    assert piece == payload(1, 100 * KB)[1000:2000]
    del piece
    assert len(fill(out)) == len(blocks)


def test_an_array_alone_holds_its_block(out: RingOut, dst: RingIn) -> None:
    numpy = pytest.importorskip("numpy")
    blocks = fill(out)
    array = numpy.frombuffer(dst.read("src", blocks[0]), numpy.int16)[100:].reshape(2, -1)
    dst.passed("src", 0, blocks[-1].number)
    assert not array.flags.writeable
    assert out.write(payload(0, 100 * KB), ["dst"]) is None
    assert array.tobytes() == payload(1, 100 * KB)[200:]
    del array
    assert len(fill(out)) == len(blocks)


def test_a_block_is_released_at_once_without_a_collection(out: RingOut, dst: RingIn) -> None:
    gc.disable()
    try:
        for _ in range(3):
            blocks = fill(out)
            assert blocks
            for block in blocks:
                dst.read("src", block)
    finally:
        gc.enable()


def test_a_view_may_die_in_another_thread(out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    views = [dst.read("src", b) for b in blocks]
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join()
    assert len(fill(out)) == len(blocks)


def test_blocks_may_be_released_in_any_order(out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    views = {b.number: dst.read("src", b) for b in blocks}
    numbers = list(views)
    random.Random(1).shuffle(numbers)
    for number in numbers:
        assert views.pop(number) == payload(number, 100 * KB)
        out.write(payload(out.number + 1, 100 * KB), ["dst"])
        assert all(view == payload(k, 100 * KB) for k, view in views.items())


def test_two_messages_may_name_one_block(out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    first, again = dst.read("src", blocks[0]), dst.read("src", blocks[0])
    dst.passed("src", 0, blocks[-1].number)
    del first
    assert out.write(payload(0, 100 * KB), ["dst"]) is None
    assert again == payload(1, 100 * KB)
    del again
    with pytest.raises(BlockLost):
        dst.read("src", blocks[0])


def test_a_full_ring_says_so_and_recovers(out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    assert len(blocks) == MB // (100 * KB)
    assert out.statistics.full == 1
    for block in blocks:
        dst.read("src", block)
    assert len(fill(out)) == len(blocks)


def test_more_than_half_of_the_capacity_does_not_fit(out: RingOut, dst: RingIn) -> None:
    assert out.write(bytes(MB // 2 + 1), ["dst"]) is None
    assert out.write(bytes(MB // 2), ["dst"]) is not None


def test_a_block_lost_on_the_way_is_released_by_a_later_one(out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    dst.read("src", blocks[-1])
    assert len(fill(out)) == len(blocks)
    with pytest.raises(BlockLost):
        dst.read("src", blocks[0])


def test_blocks_lost_behind_the_last_are_released_when_told(out: RingOut, dst: RingIn) -> None:
    blocks = fill(out)
    dst.passed("src", 0, out.number)  # nothing of that life was ever read
    assert len(fill(out)) == len(blocks)


def test_links_do_not_release_each_other(folder: Path, out: RingOut, dst: RingIn) -> None:
    dst.attach("src", "a.out->dst.x")
    queued = announced(out, payload(1, 100 * KB), ["dst"], "a.out->dst.x")
    for block in fill(out):
        dst.read("src", block)
    dst.passed("src", 0, out.number)
    assert out.write(bytes(100 * KB), ["dst"]) is None
    assert dst.read("src", queued, "a.out->dst.x") == payload(1, 100 * KB)
    assert out.write(bytes(100 * KB), ["dst"]) is not None
    with pytest.raises(BlockLost):
        dst.read("src", queued)


def test_a_block_waits_for_its_own_readers_only(folder: Path, out: RingOut) -> None:
    readers = [RingIn(folder, f"dst.{k}", 0) for k in range(3)]
    for ring in readers:
        ring.attach("src")
    blocks = fill(out, readers=("dst.0", "dst.2"))
    for ring in (readers[0], readers[2]):
        assert out.write(b"x" * 100 * KB, ["dst.0"]) is None
        for block in blocks:
            ring.read("src", block)
    block = announced(out, bytes(100 * KB), ["dst.0", "dst.2"])
    with pytest.raises(BlockLost, match="not written for"):
        readers[1].read("src", block)
    for ring in readers:
        ring.close()


def test_64_readers_and_no_more(folder: Path, out: RingOut) -> None:
    readers = [RingIn(folder, f"dst.{k}", 0) for k in range(65)]
    for ring in readers:
        ring.attach("src")
    names = [f"dst.{k}" for k in range(64)]
    blocks = fill(out, readers=tuple(names))
    for ring in readers[:64]:
        assert out.write(bytes(100 * KB), names) is None
        assert [ring.read("src", b) == payload(b.number, 100 * KB) for b in blocks] == [True] * len(blocks)
    assert out.write(bytes(100 * KB), names) is not None
    assert out.write(bytes(100), [*names, "dst.64"]) is None
    for ring in readers:
        ring.close()


def test_before_a_reader_has_attached_the_socket_is_used(folder: Path, out: RingOut, dst: RingIn) -> None:
    late = RingIn(folder, "late", 0)
    assert out.write(b"x", ["dst", "late"]) is None
    assert out.statistics.unattached == 1
    late.attach("src")
    block = announced(out, b"x", ["dst", "late"])
    assert dst.read("src", block) == late.read("src", block) == b"x"
    late.close()


def test_a_reader_that_left_is_not_waited_for(folder: Path, out: RingOut, dst: RingIn) -> None:
    other = RingIn(folder, "other", 0)
    other.attach("src")
    blocks = fill(out, readers=("dst", "other"))
    other.close()
    dst.passed("src", 0, out.number)
    assert len(fill(out, readers=("dst", "other"))) == len(blocks)
    dst.passed("src", 0, out.number)
    assert out.write(b"x", ["other"]) is None


def test_a_view_outlives_its_reader_s_close(folder: Path, out: RingOut, dst: RingIn) -> None:
    block = announced(out, payload(1, 100 * KB), ["dst"])
    view = dst.read("src", block)
    dst.close()
    fill(out)
    assert view == payload(1, 100 * KB)
    with pytest.raises(BlockLost):
        dst.read("src", block)
    del view
    assert not list(folder.glob("*.lane"))


def test_the_ring_grows_with_its_payloads_and_under_pressure(folder: Path, dst: RingIn) -> None:
    out = RingOut(folder, "src", 0, 16 * MB)
    sizes = []
    views = []
    for size in (KB, 300 * KB, 300 * KB, *[MB] * 12):
        block = announced(out, payload(size, size), ["dst"])
        views.append((size, dst.read("src", block)))
        sizes.append((folder / block.ring).stat().st_size)
    assert sizes[0] == SMALLEST
    assert sizes[-1] == 16 * MB
    assert sizes == sorted(sizes)
    assert len(list(folder.glob("*.ring"))) > 1  # the small ones are still held
    assert all(view == payload(size, size) for size, view in views)
    views.clear()
    announced(out, b"x", ["dst"])
    assert len(list(folder.glob("*.ring"))) == 1
    out.close()


def test_nothing_is_left_in_the_folder(folder: Path) -> None:
    out, dst = RingOut(folder, "src", 0), RingIn(folder, "dst", 0)
    dst.attach("src")
    view = dst.read("src", announced(out, payload(1, MB), ["dst"]))
    out.close()
    assert view == payload(1, MB)
    assert len(list(folder.iterdir())) == 2  # it is still held
    del view
    dst.close()
    RingOut(folder, "src", 1).close()
    assert list(folder.iterdir()) == []


def test_without_a_holder_the_writer_removes_its_own_file(folder: Path, dst: RingIn) -> None:
    out = RingOut(folder, "src", 0)
    dst.read("src", announced(out, bytes(MB), ["dst"]))
    out.close()
    assert not list(folder.glob("*.ring"))


def test_what_was_sent_before_the_writer_left_can_still_be_read(folder: Path, dst: RingIn) -> None:
    out = RingOut(folder, "src", 0)
    block = announced(out, payload(1, KB), ["dst"])
    out.close()
    assert dst.read("src", block) == payload(1, KB)


HOSTILE = [
    {"ring": "../secret"},
    {"ring": "/etc/passwd"},
    {"ring": "other.0.1.ring"},
    {"ring": "src.0.1.ring\0"},
    {"ring": "src.0.99.ring"},
    {"ring": "src.99999999.1.ring"},
    {"ring": ""},
    {"ring": "dst@src.lane"},
    {"number": 2},
    {"number": 0},
    {"number": -1},
    {"number": 2**53 - 1},
    {"offset": 0},
    {"offset": HEADER_BYTES + 8},
    {"offset": HEADER_BYTES + ALIGNMENT},
    {"offset": HEADER_BYTES - 1},
    {"offset": -HEADER_BYTES},
    {"offset": MB},
    {"offset": 2**53 - 1},
    {"length": 999},
    {"length": 1001},
    {"length": 2**53 - 1},
    {"length": -1},
]


@pytest.mark.parametrize("lie", HOSTILE, ids=str)
def test_a_header_that_lies_is_a_lost_block(out: RingOut, dst: RingIn, lie: dict[str, str | int]) -> None:
    block = announced(out, payload(1, 1000), ["dst"])
    with pytest.raises(BlockLost):
        dst.read("src", msgspec.structs.replace(block, **lie))
    assert dst.read("src", block) == payload(1, 1000)  # and it has done no harm
    with pytest.raises(BlockLost):
        dst.read("src", msgspec.structs.replace(block, **lie))


@given(st.builds(Block, st.just("src.0.1.ring"), *[st.integers(-(2**63), 2**64)] * 3))
@hypothesis_settings(deadline=None)
def test_no_numbers_crash_a_reader(block: Block) -> None:
    with memory_folder() as made:
        out, dst = RingOut(Path(made), "src", 0, MB), RingIn(Path(made), "dst", 0)
        dst.attach("src")
        announced(out, payload(1, 1000), ["dst"])
        with pytest.raises(BlockLost):
            dst.read("src", block)
        dst.close()
        out.close()


@pytest.mark.parametrize(("life", "number"), [(-1, 1), (2**24, 1), (0, -1), (0, 2**40), (2**53, 2**53)])
def test_no_progress_that_cannot_be_is_believed(dst: RingIn, life: int, number: int) -> None:
    with pytest.raises(BlockLost):
        dst.passed("src", life, number)


def test_a_producer_nobody_attached_to_is_a_lost_block(out: RingOut, dst: RingIn) -> None:
    block = announced(out, b"x", ["dst"])
    with pytest.raises(BlockLost):
        dst.read("../src", block)


def test_no_room_on_the_device_is_told_and_costs_nothing(folder: Path, dst: RingIn, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 2 * MB
    real = os.posix_fallocate

    def crowded(file: int, offset: int, length: int) -> None:
        if length > room:
            raise OSError(28, os.strerror(28))
        real(file, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", crowded)
    out = RingOut(folder, "src", 0, CAPACITY)
    assert out.write(bytes(3 * MB), ["dst"]) is None
    assert "No space left on device" in out.trouble
    assert list(folder.glob("*.ring")) == []
    out.close()
    out = RingOut(folder, "src", 0, CAPACITY)
    announced(out, bytes(MB), ["dst"])  # a smaller ring than it wanted
    assert [f.stat().st_size for f in folder.glob("*.ring")] == [room]
    out.close()


def test_a_real_device_that_is_full_never_kills(folder: Path, tmp_path: Path) -> None:
    """Where the test may mount: a file system of 2 MB that others have filled."""
    script = """
import sys, pathlib
from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
folder = pathlib.Path(sys.argv[1])
out, dst = RingOut(folder, "src", 0), RingIn(folder, "dst", 0)
dst.attach("src")
(folder / "others").write_bytes(bytes(1536 << 10))
assert out.write(bytes(1 << 20), ["dst"]) is None, "there was room"
assert "No space left" in out.trouble, out.trouble
"""
    mount = f'mount -t tmpfs -o size=2m none {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, script]
    try:
        able = subprocess.run([*command[:-3], "-c", f"mount -t tmpfs none {tmp_path}"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if able.returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    out, dst = RingOut(tmp_path / "gone", "src", 0), RingIn(tmp_path / "gone", "dst", 0)
    dst.attach("src")
    assert "No such file or directory" in dst.trouble
    assert out.write(b"x", ["dst"]) is None
    out.close()
    dst.close()


def test_a_folder_removed_while_in_use_harms_nobody(folder: Path, out: RingOut, dst: RingIn) -> None:
    view = dst.read("src", announced(out, payload(1, KB), ["dst"]))
    for file in folder.iterdir():
        file.unlink()
    again = dst.read("src", announced(out, payload(2, KB), ["dst"]))
    assert (view, again) == (payload(1, KB), payload(2, KB))


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
    dst.close()
    for _ in range(3):
        for block in fill(out):
            assert new.read("src", block) == payload(block.number, 100 * KB)
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
    del held
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


class RingModel(RuleBasedStateMachine):
    """Two readers that read, skip, drop and come back at will, against a list of what they may still look at."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = memory_folder()
        self.folder = Path(self.temporary.name)
        self.out = RingOut(self.folder, "src", 0, 2 * MB)
        self.lives = [0, 0]
        self.readers = [self.attached(k) for k in range(2)]
        self.sent: list[deque[tuple[Block, bytes]]] = [deque(), deque()]  # announced, not yet received
        self.views: list[dict[int, tuple[Block, memoryview, bytes]]] = [{}, {}]

    def attached(self, k: int) -> RingIn:
        ring = RingIn(self.folder, f"dst.{k}", self.lives[k])
        ring.attach("src")
        return ring

    @rule(size=st.integers(1, 600 * KB), to=st.sampled_from([(0,), (1,), (0, 1)]))
    def write(self, size: int, to: tuple[int, ...]) -> None:
        data = bytes([self.out.number % 251 + 1]) * size
        block = self.out.write(data, [f"dst.{k}" for k in to])
        if block is not None:
            assert block.number == self.out.number
            for k in to:
                self.sent[k].append((block, data))
        elif not any(self.sent) and not any(self.views):
            assert size > self.out_capacity_left()

    def out_capacity_left(self) -> int:
        return MB  # half of 2 MB always fits in a ring that nobody holds

    @precondition(lambda self: any(self.sent))
    @rule(k=st.integers(0, 1), skip=st.integers(0, 2))
    def read(self, k: int, skip: int) -> None:
        for _ in range(min(skip, len(self.sent[k]) - 1)):
            self.sent[k].popleft()  # lost on the way
        if self.sent[k]:
            block, data = self.sent[k].popleft()
            self.views[k][block.number] = (block, self.readers[k].read("src", block), data)

    @precondition(lambda self: any(self.views))
    @rule(k=st.integers(0, 1), which=st.integers(0, 100))
    def release(self, k: int, which: int) -> None:
        if self.views[k]:
            del self.views[k][list(self.views[k])[which % len(self.views[k])]]

    @rule(k=st.integers(0, 1))
    def come_back(self, k: int) -> None:
        self.views[k].clear()
        self.readers[k].close()
        self.lives[k] += 1
        self.readers[k] = self.attached(k)
        for block, _ in self.sent[k]:  # announced to the former life
            with pytest.raises(BlockLost):
                self.readers[k].read("src", block)
        self.sent[k].clear()

    @invariant()
    def what_is_held_is_whole_and_apart(self) -> None:
        held = {}
        for views in self.views:
            for block, view, data in views.values():
                assert view == data
                held[block.number] = block
        for sent in self.sent:
            held.update((block.number, block) for block, _ in sent)
        spans = sorted((b.ring, b.offset - HEADER_BYTES, b.offset + b.length) for b in held.values())
        for (ring, _, end), (other, start, _) in pairwise(spans):
            assert ring != other or end <= start

    def teardown(self) -> None:
        self.views = [{}, {}]
        for ring in self.readers:
            ring.close()
        self.out.close()
        self.temporary.cleanup()


TestRingModel = RingModel.TestCase
TestRingModel.settings = hypothesis_settings(max_examples=40, stateful_step_count=40, deadline=None)
