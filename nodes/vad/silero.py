"""Silero VAD: small, exact to 32 ms, 0.15 ms of one core per window."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from graph.errors import NodeError
from graph.message import Message
from graph.models import locate
from graph.node import NodeConfig, Runtime, Step
from nodes.kinds import AudioFrame
from nodes.vad.base import VadNode
from nodes.vad.segmenter import Limits, Segmenter

if TYPE_CHECKING:
    from nodes.vad.silero_model import Listener, Model

SAMPLE_RATE_HZ = 16_000
SESSIONS_REMEMBERED = 1000
FILES = {"onnx": "silero_vad_16k_op15.onnx", "torch": "silero_vad.jit"}


class SileroConfig(NodeConfig):
    model: str = Field("silero-vad", description="catalogue name, or a folder that holds the model files")
    runtime: Literal["onnx", "torch"] = Field("onnx", description="onnx; torch needs the extra 'torch' and hears the same")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability at which speech begins")
    neg_threshold: float = Field(0.35, gt=0, lt=1, description="probability under which it falls silent")
    min_speech_ms: int = Field(96, ge=32, le=2000, description="shorter sounds are no speech")
    min_silence_ms: int = Field(96, ge=32, le=2000, description="silence that makes a pause")
    pause_every_ms: int = Field(32, ge=32, le=1000, description="how often a lasting pause is told")
    end_silence_ms: int = Field(3000, ge=200, le=60_000, description="silence that ends the speech")
    pre_roll_ms: int = Field(256, ge=0, le=2000, description="kept before the first sample of speech")


class _Session:
    """What is remembered of one session."""

    def __init__(self, listener: Listener, limits: Limits) -> None:
        self.listener = listener
        self.segmenter = Segmenter(limits)
        self.position = 0  # sample after the last one taken in
        self.rest: Any = None  # of the last frame: less than a window, float32
        self.warned = False


class SileroVad(VadNode):
    """Tells where speech starts, pauses and ends, to the sample."""

    Config = SileroConfig
    config: SileroConfig

    def __init__(self, config: SileroConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._samples = 0
        self._heard_speech = False

    @classmethod
    def models(cls, config: SileroConfig) -> Sequence[str]:
        return (config.model,)

    def setup(self) -> None:
        folder = locate(self.config.model)
        file = folder / FILES[self.config.runtime]
        if not file.is_file():
            raise NodeError(f"no {file.name} in {folder}: `model` must name a Silero VAD model")
        self.runtime.status(f"loading {self.config.model}")
        try:
            import numpy as np

            from nodes.vad.silero_model import WINDOW, OnnxModel, TorchModel

            self._model: Model = OnnxModel(file) if self.config.runtime == "onnx" else TorchModel(file)
        except ImportError as error:
            extra = {"onnx": "vad", "torch": "torch"}[self.config.runtime]
            raise self.missing(error.name or "a library", extra) from error
        self._np, self._window = np, WINDOW
        self._limits = _limits(self.config)

    def on_audio(self, message: Message[AudioFrame]) -> Iterator[Step]:
        session = self._session(message.session)
        if message.body.sample_rate != SAMPLE_RATE_HZ:
            if not session.warned:
                session.warned = True
                rate = message.body.sample_rate
                self.runtime.warn(
                    f"audio of {rate} Hz in session '{message.session}' is not heard: {SAMPLE_RATE_HZ} Hz is needed"
                )
            return
        np = self._np
        samples = np.frombuffer(message.payload, "<i2").astype(np.float32) / 32_768
        if message.body.start != session.position or session.rest is None:
            session.rest = samples[:0]  # frames were lost: the window that was begun cannot be completed
        session.position = message.body.start + len(samples)
        self._samples += len(samples)
        heard = np.concatenate((session.rest, samples))
        start = session.position - len(heard)
        for offset in range(0, len(heard) - self._window + 1, self._window):
            probability = session.listener(heard[offset : offset + self._window])
            for event in session.segmenter.window(probability, start + offset, self._window):
                yield self.speech(event)
        session.rest = heard[len(heard) // self._window * self._window :]
        self._heard_speech |= session.segmenter.heard_speech

    def drain(self) -> Iterator[Step]:
        for name, session in self._sessions.items():
            for event in session.segmenter.finish():
                yield self.speech(event, session=name)
        if not self._heard_speech:
            self.runtime.warn(f"no speech was heard in {self._samples / SAMPLE_RATE_HZ:.1f} s of audio")

    def _session(self, name: str) -> _Session:
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = _Session(self._model.listener(), self._limits)
            if len(self._sessions) > SESSIONS_REMEMBERED:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(name)
        return session


def _limits(config: SileroConfig) -> Limits:
    def samples(ms: int) -> int:
        return ms * SAMPLE_RATE_HZ // 1000

    return Limits(
        threshold=config.threshold,
        neg_threshold=min(config.neg_threshold, config.threshold),
        min_speech=samples(config.min_speech_ms),
        min_silence=samples(config.min_silence_ms),
        pause_every=samples(config.pause_every_ms),
        end_silence=samples(config.end_silence_ms),
        pre_roll=samples(config.pre_roll_ms),
    )
