"""Nodes for graphs whose links are tried: hostile, poisoned, halting, counting."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from examples.level_meter import Level
from graph.message import Message, now_ns
from graph.node import Input, Node, NodeConfig, Outgoing, Output, Step, Until
from nodes.kinds import AudioFrame

from .actors import Collect, CollectConfig, Count, CountConfig, Double, Number, Slow, SlowConfig


class Both(Double):
    """Takes numbers from a stream and from a queue, and doubles them all."""

    y = Input(Number)

    def on_y(self, message: Message[Number]) -> Outgoing:
        return self.out(Number(message.body.n * 2))


class Same(Double):
    """Passes on what comes."""

    def on_x(self, message: Message[Number]) -> Outgoing:
        return self.out(message.body)


class HostileConfig(NodeConfig):
    messages: int = 200_000
    seed: int = 0
    done: Path


class Hostile(Node):
    """Writes what is no message, or a lie, on its own streams; then into `done` how much was clearly no message."""

    Config = HostileConfig
    config: HostileConfig
    out = Output(Number)
    jobs = Output(Number)

    def run(self) -> Iterator[Step]:
        import random

        import zmq

        from . import junk

        chance = random.Random(self.config.seed)
        publisher = self.runtime._wiring.streams_out.socket  # type: ignore[attr-defined]
        publisher.setsockopt(zmq.XPUB_NODROP, 1)  # it waits for its listener: all of it is heard
        pool = [(True, junk.unreadable(chance)) for _ in range(2000)] + [(False, junk.doubtful(chance)) for _ in range(2000)]
        unreadable = 0
        for k in range(self.config.messages):
            if k % 10 == 0:
                frames = [b"?mid" + chance.choice([b"", b"/more"]), junk.notice(chance, junk.ends(chance))]
            else:
                counts, rest = chance.choice(pool)
                frames = [b"bad.out/" + chance.choice([*junk.PARTITIONS, b"40", b"zz", b"-1", b""]), *rest]
                unreadable += counts
            publisher.send_multipart(frames)
            if k % 1000 == 0:
                yield None
        self.config.done.write_text(str(unreadable))


class SlowAccountConfig(SlowConfig):
    statistics: Path


class SlowAccount(Slow):
    """Takes its time over each, and tells in the end what its links have counted."""

    Config = SlowAccountConfig
    config: SlowAccountConfig

    def on_x(self, message: Message[Number]) -> None:  # type: ignore[override]
        time.sleep(self.config.ms / 1000)

    def close(self) -> None:
        wiring = self.runtime._wiring  # type: ignore[attr-defined]
        told = {edge: {"delivered": s.delivered, "dropped": s.dropped} for edge, s in wiring.statistics().items()}
        self.config.statistics.with_suffix(f".{self.runtime.instance}").write_text(json.dumps(told))


class CollectBoth(Collect):
    """Hears two streams."""

    def on_y(self, message: Message[Number]) -> None:
        self.on_x(message)

    y = Input(Number)


class PoisonedConfig(NodeConfig):
    deadly: int


class Poisoned(Double):
    """Dies of one number, each time."""

    Config = PoisonedConfig
    config: PoisonedConfig

    def on_x(self, message: Message[Number]) -> Outgoing:
        if message.body.n == self.config.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().on_x(message)


class HaltingConfig(CountConfig):
    halt_at: int
    until: Path  # goes on once there is such a file


class Halting(Node):
    """Counts, and falls silent in the middle of it."""

    Config = HaltingConfig
    config: HaltingConfig
    out = Output(Number)

    def run(self) -> Iterator[Step]:
        for n in range(self.config.count):
            while n == self.config.halt_at and not self.config.until.exists():
                yield Until(now_ns() + 10_000_000)
            yield self.out(Number(n))


class Watchful(Collect):
    """Writes down what it is told of its inputs, too."""

    y = Input(Number, required=False)

    def on_y(self, message: Message[Number]) -> None:
        self._heard.append(f"y {message.body.n}")

    def on_input_silent(self, name: str) -> None:
        self._heard.append(f"silent {name}")
        self.config.file.with_suffix(".silent").touch()

    def on_input_back(self, name: str) -> None:
        self._heard.append(f"back {name}")

    def on_input_end(self, name: str) -> None:
        self._heard.append(f"end {name}")
        self.config.file.with_suffix(f".end-{name}").touch()


class FramesConfig(CountConfig):
    samples: int = 160


class Frames(Count):
    """Sends sound: all samples of frame n have the value n, up to 30,000."""

    Config = FramesConfig
    config: FramesConfig
    audio = Output(AudioFrame)

    def run(self) -> Iterator[Step]:
        for step in super().run():
            if not isinstance(step, Outgoing):
                yield step
                continue
            n = step.body.n  # type: ignore[attr-defined]
            frame = AudioFrame(sample_rate=16_000, start=n * self.config.samples)
            yield self.audio(frame, (n % 30_000).to_bytes(2, "little") * self.config.samples, session=step.session, turn=n + 1)


class CollectLevels(Node):
    """Writes down at once what it is told, with who told it."""

    Config = CollectConfig
    config: CollectConfig
    level = Input(Level)

    def setup(self) -> None:
        self._file = self.config.file.open("w", buffering=1)

    def on_level(self, message: Message[Level]) -> None:
        body = message.body
        who = message.header.instance if message.header else ""
        self._file.write(f"{who} {message.session} {message.turn} {body.start} {body.rms_db!r} {body.peak_db!r}\n")

    def close(self) -> None:
        self._file.close()
