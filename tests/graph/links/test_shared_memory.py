from __future__ import annotations

import gc
import random
import threading
from pathlib import Path

import msgspec
import pytest

from graph.links.ring_in import RingIn
from graph.links.ring_out import SMALLEST, RingOut
from graph.links.shared_memory import ALIGNMENT, BlockLost
from graph.message import Block

from .ring_ends import (
    KB,
    MB,
    announced,
    fill,
    payload,
)


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
