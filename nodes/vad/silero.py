"""Silero VAD: small, exact to 32 ms, 0.15 ms of one core per window."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from graph.message import Message
from graph.node import NodeConfig, Step
from nodes.kinds import AudioFrame
from nodes.model_file import model_file
from nodes.sessions import Sessions
from nodes.speech_audio import SAMPLE_RATE_HZ, fault, samples
from nodes.vad.base import SpeechStarted, VadNode, VoiceHeard, VoiceLost
from nodes.vad.segmenter import Limits

if TYPE_CHECKING:
    from nodes.vad.listener import Listener

SESSIONS_REMEMBERED = 1000  # at about 3 KB


class SileroConfig(NodeConfig):
    """Parameters of vad.silero."""

    model: str = Field("silero-vad", description="a catalogue name, a folder with one .onnx or .jit file, or that file")
    runtime: Literal["onnx", "torch"] = Field("onnx", description="onnx; torch needs the extra 'torch' and hears the same")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability at which speech begins")
    neg_threshold: float = Field(0.35, gt=0, lt=1, description="probability under which it falls silent; at most `threshold`")
    min_speech_ms: int = Field(96, ge=32, le=2000, description="shorter sounds are no speech")
    min_silence_ms: int = Field(32, ge=32, le=2000, description="silence from which a pause is told")
    pause_every_ms: int = Field(32, ge=32, le=1000, description="how often a lasting pause is told")
    end_silence_ms: int = Field(
        3000, ge=200, le=60_000, description="silence that ends the speech; longer than what turn nodes wait for"
    )
    pre_roll_ms: int = Field(256, ge=0, le=2000, description="kept before the first sample of speech")

    @model_validator(mode="after")
    def _thresholds_are_in_order(self) -> Self:
        if self.neg_threshold > self.threshold:
            raise ValueError(f"neg_threshold ({self.neg_threshold}) is above threshold ({self.threshold})")
        return self


class SileroVad(VadNode):
    """Tells where speech starts, pauses and ends, in windows of 32 ms."""

    Config = SileroConfig
    config: SileroConfig

    _sessions: Sessions[Listener]
    _heard_samples = 0
    _heard_speech = False

    @classmethod
    def models(cls, config: SileroConfig) -> Sequence[str]:
        """The model's catalogue name or path."""
        return (config.model,)

    @classmethod
    def extras(cls, config: SileroConfig) -> Sequence[str]:
        """One more for the runtime that is not of the default graph."""
        return (cls.extra, "torch") if config.runtime == "torch" else (cls.extra,)

    def setup(self) -> None:
        """:raises VoicegraphError: the model is not here or cannot be loaded, or a library is missing."""
        runtime = self.config.runtime
        file = model_file(self.config.model, {"onnx": ".onnx", "torch": ".jit"}[runtime])
        self.runtime.status(f"loading {self.config.model}")
        try:
            from nodes.vad.listener import Listener
            from nodes.vad.silero_model import OnnxModel, TorchModel

            model = OnnxModel(file) if runtime == "onnx" else TorchModel(file)
        except ImportError as error:
            raise self.missing(error.name or "a library", "torch" if runtime == "torch" else self.extra) from error
        limits = _limits(self.config)
        self._sessions = Sessions(lambda: Listener(model, limits), SESSIONS_REMEMBERED)

    def in_turn(self) -> Collection[str]:
        """Whoever heard speech begin hears it end."""
        return [name for name, listener in self._sessions.items() if listener.in_speech]

    def snapshot(self) -> dict[str, Any]:
        """How far each session was heard, and whether there was speech at all."""
        return {name: (listener.expected, self._heard_speech) for name, listener in self._sessions.items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, (expected, heard_speech) in state.items():
            self._sessions.of(name).go_on(expected)
            self._heard_speech |= heard_speech

    def on_audio(self, message: Message[AudioFrame]) -> Iterator[Step]:
        """Tell what a frame brings to light; a frame that is not 16 kHz s16 is left out, and said so once a session."""
        listener = self._sessions.of(message.session)
        for name, forgotten in self._sessions.surplus():
            yield from self._finish(name, forgotten)
        if unfit := fault(message):
            if not listener.warned:
                self.runtime.warn(f"audio of session '{message.session}' is not heard: {unfit}")
            listener.warned = True
            return
        self._heard_samples += len(message.payload) // 2
        suspected = listener.suspects
        for event in listener.hear(message.payload, message.body.start, message.origin_ns):
            self._heard_speech |= isinstance(event, SpeechStarted)
            yield self.speech(event)
        if listener.suspects and not suspected:
            yield self.voice(VoiceHeard())
        elif suspected and not (listener.suspects or listener.speaking):
            yield self.voice(VoiceLost())

    def drain(self) -> Iterator[Step]:
        """End the speech that is still open."""
        for name, listener in self._sessions.items():
            yield from self._finish(name, listener)
        if not self._heard_speech:
            self.runtime.warn(f"no speech was heard in {self._heard_samples / SAMPLE_RATE_HZ:.1f} s of audio")

    def _finish(self, session: str, listener: Listener) -> Iterator[Step]:
        if listener.suspects:
            yield self.voice(VoiceLost(), session=session, origin_ns=listener.origin_ns)
        for event in listener.finish():
            yield self.speech(event, session=session, origin_ns=listener.origin_ns)
        if listener.gaps:
            lost_ms = listener.lost * 1000 // SAMPLE_RATE_HZ
            self.runtime.warn(f"audio of session '{session}' had {listener.gaps} gaps: {lost_ms} ms never came")


def _limits(config: SileroConfig) -> Limits:
    return Limits(
        threshold=config.threshold,
        neg_threshold=config.neg_threshold,
        min_speech=samples(config.min_speech_ms),
        min_silence=samples(config.min_silence_ms),
        pause_every=samples(config.pause_every_ms),
        end_silence=samples(config.end_silence_ms),
        pre_roll=samples(config.pre_roll_ms),
    )
