"""Pipecat with the same stand-ins: `python -m bench.bargein.pipecat_pipeline OPTIONS` with OPTIONS as JSON.

VAD, turn strategies, aggregators and transports are Pipecat's, with public options only.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
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
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.utils.time import time_now_iso8601

from bench.bargein.script import DROPPED, REPLY_MS, TAKES_MS, over
from bench.recover.ends import folder, now_ns
from bench.signed_speech import words
from bench.square_wave import RATE_HZ, Ear, frames
from bench.voice.pipecat_pipeline import Loudspeaker, Microphone, Observer, Session, converse
from bench.voice.script import SAMPLE_RATE_HZ


class Transcriber(SegmentedSTTService):
    """Understands that there were words."""

    def __init__(self) -> None:
        super().__init__(settings=STTSettings(model=None, language="en"))

    @property
    def wants_wav_segments(self) -> bool:
        return False

    async def run_stt(self, audio: bytes) -> AsyncIterator[Frame]:
        await asyncio.sleep(TAKES_MS / 1000)
        if text := words(np.frombuffer(audio, "<i2"), SAMPLE_RATE_HZ):
            yield TranscriptionFrame(text, self._user_id, time_now_iso8601(), "en", finalized=True)


class Replying(FrameProcessor):
    """Model and voice in one: answers everything it is asked to."""

    _reply: asyncio.Task[None] | None = None

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
        await asyncio.sleep(2 * TAKES_MS / 1000)
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(TTSStartedFrame())
        for payload in frames(REPLY_MS):
            await self.push_frame(TTSAudioRawFrame(payload, RATE_HZ, 1))
        await self.push_frame(TTSStoppedFrame())
        await self.push_frame(LLMFullResponseEndFrame())
        self._reply = None


class HeardLoudspeaker(Loudspeaker):
    """Writes down what leaves it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._ear = Ear(folder())

    def plays(self, samples: NDArray[np.int16], sample_rate: int, end_ns: int) -> None:
        self._ear.hear(samples, sample_rate, end_ns)


class InterruptionObserver(Observer):
    """Notes interruptions, too."""

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.first_push and isinstance(data.frame, InterruptionFrame) and data.direction is FrameDirection.DOWNSTREAM:
            self._session.note(DROPPED, now_ns(), self._session.turn)
        await super().on_push_frame(data)


async def main(options: dict[str, Any]) -> None:
    session = Session()
    vad = VADParams() if options["start_secs"] is None else VADParams(start_secs=options["start_secs"])
    await converse(
        session,
        Transcriber(),
        [Replying()],
        SileroVADAnalyzer(params=vad),
        Microphone(session, over(options["alarms"])),
        HeardLoudspeaker(session),
        InterruptionObserver(session),
    )


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
