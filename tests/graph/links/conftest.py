from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut

from .ring_ends import MB, memory_folder


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
