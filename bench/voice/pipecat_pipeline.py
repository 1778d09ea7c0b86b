"""The same conversation in Pipecat, one process: `python -m bench.voice.pipecat_pipeline OPTIONS` with OPTIONS as JSON.

Silero VAD, Smart Turn, Whisper, OpenAILLMService and Piper (or Kokoro) as Pipecat's documentation puts them together. Of our
own are only the transport, for the questions come from files and nobody listens, and the observer, which sees what ours marks.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from numpy.typing import NDArray
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.piper.tts import PiperTTSService
from pipecat.services.tts_service import TTSService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from bench.recover.ends import now_ns
from bench.voice.script import ASKED, SAMPLE_RATE_HZ, Floor, Notes, Over, frames, questions
from nodes import marks

AUDIBLE_S16 = 300  # as in nodes/sink/reply_audio.py


class Session:
    """What the parts of the pipeline know together."""

    def __init__(self, name: str = "notes") -> None:
        self.notes = Notes(name)
        self.context = LLMContext()
        self.turn = 0  # counted when the user begins to speak
        self.floor = Floor()
        self.done = asyncio.Event()

    def note(self, name: str, at_ns: int, turn: int, text: str = "") -> None:
        self.notes.take(name, at_ns, turn, text=text)

    def asked(self, number: int, at_ns: int) -> None:
        self.context.set_messages([])  # every question stands for itself
        self.notes.take(ASKED, at_ns, number)


class Microphone(BaseInputTransport):
    """Asks in real time, and waits for each reply."""

    def __init__(self, session: Session, sounds: list[bytes], over: Over | None = None) -> None:
        super().__init__(TransportParams(audio_in_enabled=True))
        self._session = session
        self._sounds = sounds
        self._over = over

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self.create_task(self._pump())

    async def _pump(self) -> None:
        session = self._session
        for due_ns, payload in frames(self._sounds, now_ns(), lambda: session.floor, session.asked, self._over):
            await asyncio.sleep(max(0, due_ns - now_ns()) / 1e9)
            await self.push_audio_frame(InputAudioRawFrame(payload, SAMPLE_RATE_HZ, 1))
        session.done.set()


class Loudspeaker(BaseOutputTransport):
    """Plays as fast as a sound card would, and notes when the first audible sample of a reply leaves."""

    def __init__(self, session: Session) -> None:
        super().__init__(TransportParams(audio_out_enabled=True))
        self._session = session
        self._free_ns = 0  # when what was written is played
        self._silent_so_far = False
        self._turn = 0  # that the reply answers

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, LLMFullResponseStartFrame):
            self._silent_so_far, self._turn = True, self._session.turn
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        begins_ns = max(self._free_ns, now_ns())
        samples = np.frombuffer(frame.audio, np.int16)
        if self._silent_so_far:
            audible = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE_S16)
            if len(audible):
                self._silent_so_far = False
                at_ns = begins_ns + int(audible[0] * 1e9 / frame.sample_rate)
                self._session.note(marks.FIRST_AUDIO, at_ns, self._turn)
        self._free_ns = begins_ns + int(len(samples) * 1e9 / frame.sample_rate)
        self.plays(samples, frame.sample_rate, self._free_ns)
        await asyncio.sleep(max(0, self._free_ns - now_ns()) / 1e9)
        return True

    def plays(self, samples: NDArray[np.int16], sample_rate: int, end_ns: int) -> None:
        """The last of these samples leaves at `end_ns`."""


class Observer(BaseObserver):
    """Notes what ours marks, each frame where it is pushed first."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._awaited: set[str] = set()  # of the newest reply
        self._turn = 0  # that it answers

    async def on_push_frame(self, data: FramePushed) -> None:
        # what concerns everybody is sent up the pipeline, too
        if not data.first_push or data.direction is not FrameDirection.DOWNSTREAM:
            return
        session, frame, at_ns = self._session, data.frame, now_ns()
        match frame:
            case UserStartedSpeakingFrame():
                session.turn += 1
            case UserStoppedSpeakingFrame():
                session.note(marks.TURN_CONFIRMED, at_ns, session.turn)
            case TranscriptionFrame():
                session.note(marks.TRANSCRIPT, at_ns, session.turn, frame.text.strip())
            case LLMFullResponseStartFrame():
                self._awaited, self._turn = {marks.FIRST_TOKEN, marks.FIRST_CLAUSE}, session.turn
            case LLMTextFrame():
                self._first(marks.FIRST_TOKEN, at_ns, frame.text)
            case AggregatedTextFrame():
                self._first(marks.FIRST_CLAUSE, at_ns, frame.text)
            case BotStartedSpeakingFrame():
                session.floor = session.floor._replace(began_ns=at_ns)
            case BotStoppedSpeakingFrame():
                session.floor = session.floor._replace(ended_ns=at_ns)
                session.note(marks.PLAYED, at_ns, self._turn)

    def _first(self, name: str, at_ns: int, text: str) -> None:
        if name in self._awaited:
            self._awaited.remove(name)
            self._session.note(name, at_ns, self._turn, text)


def stt(options: dict[str, Any]) -> WhisperSTTService:
    """Stock, or ours in its place where the options name a window."""
    settings = WhisperSTTService.Settings(model=options["whisper"], language="en")
    if options["window_s"] is None:
        return WhisperSTTService(device="cpu", compute_type="int8", settings=settings)
    from bench.voice.pipecat_stt import FittedSTTService

    return FittedSTTService(options["window_s"], device="cpu", compute_type="int8", settings=settings)


def tts(options: dict[str, Any]) -> TTSService:
    """Piper, or Kokoro where the options name its model."""
    if "kokoro" not in options:
        voice = Path(options["piper"])
        return PiperTTSService(download_dir=voice.parent, settings=PiperTTSService.Settings(voice=voice.stem))
    from pipecat.services.kokoro.tts import KokoroTTSService

    settings = KokoroTTSService.Settings(voice=options["voice"])
    return KokoroTTSService(model_path=options["kokoro"], voices_path=options["voices"], settings=settings)


async def main(options: dict[str, Any]) -> None:
    session = Session()
    llm = OpenAILLMService(
        api_key="none",
        base_url=options["llm"],
        settings=OpenAILLMService.Settings(
            model="local", temperature=0.0, max_tokens=options["max_tokens"], system_instruction=options["system"]
        ),
    )
    microphone = Microphone(session, questions())
    await converse({session: put_together(session, microphone, stt(options), [llm, tts(options)], SileroVADAnalyzer())})


def put_together(
    session: Session,
    microphone: Microphone,
    stt: FrameProcessor,
    replying: list[FrameProcessor],
    vad: SileroVADAnalyzer,
    loudspeaker: Loudspeaker | None = None,
    observer: Observer | None = None,
) -> PipelineWorker:
    """A conversation."""
    user, assistant = LLMContextAggregatorPair(session.context, user_params=LLMUserAggregatorParams(vad_analyzer=vad))
    return PipelineWorker(
        Pipeline([microphone, stt, user, *replying, loudspeaker or Loudspeaker(session), assistant]),
        observers=[observer or Observer(session)],
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )


async def converse(conversations: dict[Session, PipelineWorker]) -> None:
    """Until all was asked in all of them."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    runner = WorkerRunner()
    await runner.add_workers(*conversations.values())

    async def end() -> None:
        for session in conversations:
            await session.done.wait()
        await runner.cancel()

    ending = asyncio.create_task(end())
    await runner.run()
    await ending


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
