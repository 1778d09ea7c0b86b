"""ezmsg: units that each run in a process of their own; messages are data classes, arrays travel in its shared memory.

python -m bench.transport.peers.ezmsg_units
"""

# mypy: disable-error-code="misc, untyped-decorator"
# ezmsg is not installed where the types are checked, so its classes and decorators are untyped there.

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import ezmsg.core as ez
import numpy as np
from ezmsg.core.graphserver import GraphServer

from bench.transport import ends


@dataclass
class Sample:
    phase: int
    number: int
    sent_ns: int
    payload: Any  # uint8 array


class Source(ez.Unit):
    OUTPUT = ez.OutputStream(Sample)

    @ez.publisher(OUTPUT)
    async def publish(self) -> AsyncGenerator[Any, None]:
        source = ends.Source(ends.folder())
        payload = np.frombuffer(source.task.payload, np.uint8)
        for at_ns, phase, number in source.steps():
            ahead_ns = at_ns - ends.now_ns()
            if ahead_ns > 0:
                await asyncio.sleep(ahead_ns / 1e9)
            if phase != ends.WAIT:
                yield self.OUTPUT, Sample(phase, number, ends.now_ns(), payload)
        raise ez.NormalTermination


class Relay(ez.Unit):
    INPUT = ez.InputStream(Sample)
    OUTPUT = ez.OutputStream(Sample)

    @ez.subscriber(INPUT, zero_copy=True)
    @ez.publisher(OUTPUT)
    async def relay(self, sample: Sample) -> AsyncGenerator[Any, None]:
        yield self.OUTPUT, sample


class SinkSettings(ez.Settings):
    number: int


class Sink(ez.Unit):
    SETTINGS = SinkSettings
    INPUT = ez.InputStream(Sample)

    async def initialize(self) -> None:
        self.sink = ends.Sink(ends.folder(), self.SETTINGS.number)

    @ez.subscriber(INPUT, zero_copy=True)
    async def take(self, sample: Sample) -> None:
        self.sink.take(sample.phase, sample.number, sample.sent_ns, sample.payload)


def main() -> None:
    task = ends.Task.load(ends.folder())
    source, relays = Source(), [Relay() for _ in range(task.hops - 1)]
    sinks = [Sink(SinkSettings(number)) for number in range(task.sinks)]
    chain: list[Any] = [source, *relays]
    links = [(one.OUTPUT, other.INPUT) for one, other in zip(chain, relays, strict=False)]
    links += [(chain[-1].OUTPUT, sink.INPUT) for sink in sinks]
    named = {f"{type(unit).__name__.lower()}{n}": unit for n, unit in enumerate([*chain, *sinks])}
    # As `ez.run` would do, but on a port of the run's own: a graph server that already runs here is somebody else's.
    server, address = GraphServer(), ("127.0.0.1", task.port)
    server.start(address)
    ez.run(
        components=named,
        connections=links,
        process_components=[*chain, *sinks],
        graph_address=address,
        force_single_process=False,
    )
    server.stop()


if __name__ == "__main__":
    main()
