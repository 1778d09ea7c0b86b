"""Piper: fast voices for many languages, one file each.

piper-tts is GPL-3: an optional extra, never imported by the core.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from graph.errors import NodeError
from graph.node import NodeConfig
from graph.validation import did_you_mean
from nodes.model_file import model_file
from nodes.tts.speech import SpeechConfig, SpeechNode

if TYPE_CHECKING:
    from piper import PiperVoice, SynthesisConfig

    from nodes.tts.onnx import AbortableSession
    from nodes.tts.pcm import Samples


class PiperConfig(SpeechConfig):
    """Parameters of tts.piper."""

    hurry: bool = Field(True, description="the first clause may end in the middle of a sentence: it is heard sooner")
    model: str = Field("piper-en-joe", description="a catalogue name, a folder or an .onnx file with its .onnx.json beside it")
    speaker: str | int | None = Field(None, description="name or number, for voices of several speakers")


class Piper(SpeechNode):
    """Speaks with a Piper voice: about ten times as fast as Kokoro, and plainer."""

    extra = "piper"
    Config: ClassVar[type[NodeConfig]] = PiperConfig
    config: PiperConfig

    @classmethod
    def models(cls, config: PiperConfig) -> tuple[str, ...]:
        """The voice."""
        return (config.model,)

    def load(self) -> _Voice:
        """:raises VoicegraphError: the voice is not here or not a Piper voice, or does not have the speaker."""
        try:
            import piper

            from nodes.tts.onnx import AbortableSession
        except ImportError as error:
            raise self.missing(str(error.name)) from error
        config = self.config
        self.runtime.status(f"loading {config.model}")
        file = model_file(config.model, ".onnx")
        described = file.with_name(f"{file.name}.json")
        try:
            voice_config = piper.PiperConfig.from_dict(json.loads(described.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError) as error:
            raise NodeError(f"{described} does not describe a Piper voice: {type(error).__name__}: {error}") from error
        how = piper.SynthesisConfig(
            speaker_id=_speaker(config.speaker, voice_config, config.model),
            length_scale=voice_config.length_scale / config.speed,
        )
        session = AbortableSession(file, config.threads)
        return _Voice(piper.PiperVoice(session=session, config=voice_config), session, how)


class _Voice:
    def __init__(self, piper: PiperVoice, session: AbortableSession, how: SynthesisConfig) -> None:
        self.sample_rate: int = piper.config.sample_rate
        self.language: str = piper.config.espeak_voice
        self._piper = piper
        self._session = session
        self._how = how

    def synthesise(self, text: str) -> Iterator[Samples]:
        self._session.rearm()
        for chunk in self._piper.synthesize(text, self._how):
            yield chunk.audio_float_array

    def abort(self) -> None:
        self._session.abort()


def _speaker(speaker: str | int | None, voice: Any, model: str) -> int | None:
    """The number of a speaker; voices of one speaker take none."""
    if speaker is None:
        return None
    names: dict[str, int] = voice.speaker_id_map
    if isinstance(speaker, int) and 0 <= speaker < voice.num_speakers:
        return speaker
    if isinstance(speaker, str) and speaker in names:
        return names[speaker]
    known = f"{voice.num_speakers}: {', '.join(names)}" if names else f"{voice.num_speakers}, without names"
    hint = did_you_mean(str(speaker), names)
    raise NodeError(f"voice '{model}' has no speaker {speaker!r}{f' ({hint})' if hint else ''}, it has {known}")
