"""Nodes that pass large payloads on, and look whether they are whole."""

from __future__ import annotations

import json
import os
import random
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from graph.message import Kind, Message, now_ns
from graph.node import Input, Node, NodeConfig, Output, Step, Until


class Checked(Kind, frozen=True, omit_defaults=True):
    kind: ClassVar[str] = "test.checked"
    n: int = 0
    checksum: int = 0  # CRC-32 of the payload


class LargeConfig(NodeConfig):
    count: int
    folder: Path
    every_ms: float = 1


class Large(Node):
    """Sends payloads of 256 to 320 KB with their checksums; tells in the end what its ring has counted."""

    Config = LargeConfig
    config: LargeConfig
    out = Output(Checked)

    def run(self) -> Iterator[Step]:
        chance, noise = random.Random(0), memoryview(os.urandom(1 << 20))
        began_ns = now_ns()
        for n in range(self.config.count):
            start, size = chance.randrange(1 << 19), chance.randrange(256 << 10, 320 << 10)
            payload = noise[start : start + size]
            yield Until(began_ns + int(n * self.config.every_ms * 1e6))
            yield self.out(Checked(n, zlib.crc32(payload)), payload, session=f"s{n % 20}")

    def close(self) -> None:
        ring = self.runtime._wiring._payloads_out._ring  # type: ignore[attr-defined]
        told = {"written": ring.statistics.written, "full": ring.statistics.full}
        (self.config.folder / "ring.json").write_text(json.dumps(told))


class CheckConfig(NodeConfig):
    folder: Path
    keep: int = 2


class Check(Node):
    """Keeps the newest payloads for a while before it checks them; tells at once of one that is torn."""

    Config = CheckConfig
    config: CheckConfig
    x = Input(Checked)

    def setup(self) -> None:
        self._kept: deque[Message[Checked]] = deque()
        self._seen = {"ring": 0, "socket": 0}

    def on_x(self, message: Message[Checked]) -> None:
        header = message.header
        self._seen["ring" if header is not None and header.block is not None and header.block.ring else "socket"] += 1
        self._kept.append(message)
        if len(self._kept) > self.config.keep:
            self._check(self._kept.popleft())

    def _check(self, message: Message[Checked]) -> None:
        if zlib.crc32(message.payload) != message.body.checksum:
            (self.config.folder / f"torn.{self.runtime.instance}.{message.body.n}").touch()

    def drain(self) -> None:
        while self._kept:
            self._check(self._kept.popleft())
        (self.config.folder / f"seen.{self.runtime.instance}").write_text(json.dumps(self._seen))
