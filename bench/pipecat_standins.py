"""The stand-ins of standins.py for Pipecat's process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.utils.time import time_now_iso8601

from bench.signed_speech import words
from bench.square_wave import RATE_HZ, frames
from bench.voice.script import SAMPLE_RATE_HZ


@dataclass
class Model:
    """What takes its time, for one after the other."""

    takes_ms: int
    _free: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def work(self) -> None:
        async with self._free:
            await asyncio.sleep(self.takes_ms / 1000)


class Transcriber(SegmentedSTTService):
    """Understands who spoke."""

    def __init__(self, stt: Model) -> None:
        super().__init__(settings=STTSettings(model=None, language="en"))
        self._stt = stt

    @property
    def wants_wav_segments(self) -> bool:
        return False

    async def run_stt(self, audio: bytes) -> AsyncIterator[Frame]:
        await self._stt.work()
        if text := words(np.frombuffer(audio, "<i2"), SAMPLE_RATE_HZ):
            yield TranscriptionFrame(text, self._user_id, time_now_iso8601(), "en", finalized=True)


class Replying(FrameProcessor):
    """Model and voice in one: answers everything it is asked to."""

    _reply: asyncio.Task[None] | None = None

    def __init__(self, llm: Model, tts: Model, reply_ms: int) -> None:
        super().__init__()
        self._models = llm, tts
        self._reply_ms = reply_ms

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame) and self._reply is not None:
            await self.cancel_task(self._reply)
            self._reply = None
        if isinstance(frame, LLMContextFrame):
            self._reply = self.create_task(self._speak())
        else:
            await self.push_frame(frame, direction)

    async def _speak(self) -> None:
        for model in self._models:
            await model.work()
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(TTSStartedFrame())
        for payload in frames(self._reply_ms):
            await self.push_frame(TTSAudioRawFrame(payload, RATE_HZ, 1))
        await self.push_frame(TTSStoppedFrame())
        await self.push_frame(LLMFullResponseEndFrame())
        self._reply = None
