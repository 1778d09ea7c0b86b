from __future__ import annotations

from collections import deque
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from graph.links.ring_in import RingIn
from graph.links.ring_out import RingOut
from graph.links.shared_memory import HEADER_BYTES, BlockLost
from graph.message import Block

from .ring_ends import (
    KB,
    MB,
    memory_folder,
)


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
        else:
            assert any(self.sent) or any(self.views), "there is room when nobody holds anything"

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
