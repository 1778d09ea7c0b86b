"""The same three for Pipecat, in one process: source -> ServiceSwitcher of two relays -> sink. Orders come on a socket."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from loguru import logger
from pipecat.frames.frames import DataFrame, Frame, ManuallySwitchServiceFrame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.service_switcher import ServiceSwitcher, ServiceSwitcherStrategyManual
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bench.recover import ends


@dataclass
class Sample(DataFrame):
    number: int
    sent_ns: int
    payload: bytes


class Source(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.create_task(self._pump())

    async def _pump(self) -> None:
        payload = b"x" * 1024
        for number, at_ns in ends.times():
            await asyncio.sleep(max(0, at_ns - ends.now_ns()) / 1e9)
            await self.push_frame(Sample(number, ends.now_ns(), payload))


class Relay(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Sink(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self._notes = ends.Notes()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, Sample):
            self._notes.take(frame.number, frame.sent_ns)
        await self.push_frame(frame, direction)


async def main() -> None:
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    relays: list[FrameProcessor] = [Relay(), Relay()]
    switcher = ServiceSwitcher(relays, ServiceSwitcherStrategyManual)
    worker = PipelineWorker(
        Pipeline([Source(), switcher, Sink()]), enable_rtvi=False, enable_turn_tracking=False, idle_timeout_secs=None
    )
    switched = asyncio.Event()

    @switcher.strategy.event_handler("on_service_switched")
    async def on_service_switched(*_: object) -> None:
        switched.set()

    async def obey(orders: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        version = int(await orders.readline())
        switched.clear()
        await worker.queue_frame(ManuallySwitchServiceFrame(relays[version % len(relays)]))
        await switched.wait()
        answers.write(b"done")
        answers.close()

    runner = WorkerRunner()
    await runner.add_workers(worker)
    async with await asyncio.start_unix_server(obey, ends.folder() / "orders"):
        await runner.run()


if __name__ == "__main__":
    asyncio.run(main())
