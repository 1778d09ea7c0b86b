"""Pipecat's Whisper service with the window and the beam of ours: for the arms that are more than public options."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator

from loguru import logger
from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.utils.time import time_now_iso8601

from nodes.stt.doubt import Limits
from nodes.stt.fitted_whisper import FittedWhisper, Options
from nodes.stt.transcriber import Heard, Transcriber

LIMITS = Limits(no_speech=0.5, log_prob=-1.0, compression_ratio=2.4)  # the defaults of stt.faster_whisper


class FittedSTTService(WhisperSTTService):
    """Our transcriber in Pipecat's place for it; threads stay Pipecat's, all cores."""

    def __init__(self, shortest_s: float, **arguments: object) -> None:
        self._shortest_s = shortest_s
        super().__init__(**arguments)

    def _load(self) -> None:
        whisper = FittedWhisper(self._settings.model, device="cpu", compute_type="int8")
        self._transcriber = Transcriber(whisper, Options(LIMITS, language="en", beam_size=1), self._shortest_s)
        self._transcriber.warm_up()
        self._model = whisper

    async def run_stt(self, audio: bytes) -> AsyncIterator[Frame]:
        await self.start_processing_metrics()
        heard = await asyncio.to_thread(lambda: _result(self._transcriber.transcribe(audio)))
        await self.stop_processing_metrics()
        logger.debug(f"window of {heard.window_s:.1f} s {heard.doubt}")
        if heard.text:
            yield TranscriptionFrame(heard.text, self._user_id, time_now_iso8601(), "en", finalized=True)


def _result(steps: Generator[None, None, Heard]) -> Heard:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
