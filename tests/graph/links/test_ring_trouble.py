from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from graph.links.ring_in import RingIn
from graph.links.ring_out import CAPACITY, RingOut
from graph.links.shared_memory import ALIGNMENT, HEADER_BYTES, BlockLost
from graph.message import Block

from .ring_ends import (
    KB,
    MB,
    announced,
    memory_folder,
    payload,
)

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
    {"offset": HEADER_BYTES + 1},
    {"offset": MB},
    {"offset": 4 * MB},
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
    view = dst.read("src", block)
    assert view == payload(1, 1000)  # and it has done no harm
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
