"""Kokoro: an 82-million-parameter voice at 24 kHz, through ONNX or PyTorch.

Phonemes come from espeak-ng through kokoro-onnx, which needs phonemizer: GPL-3, an optional extra, never imported by the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from graph.errors import MissingExtra, NodeError
from graph.models import locate
from graph.node import NodeConfig
from nodes.tts.speech import SpeechConfig, SpeechNode

if TYPE_CHECKING:
    from nodes.tts.kokoro_voice import KokoroVoice

_DEFAULT_MODEL = {"onnx": "kokoro-82m", "torch": "hexgrad/Kokoro-82M"}
# The first letter of a voice's name says what it speaks (VOICES.md of hexgrad/Kokoro-82M); the names are espeak-ng's.
LANGUAGES = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr-fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "cmn",
}


class KokoroConfig(SpeechConfig):
    """Parameters of tts.kokoro."""

    engine: Literal["onnx", "torch"] = Field("onnx", description="torch: the original weights, needs the extra 'torch'")
    model: str | None = Field(
        None,
        description="a catalogue name, hub id, folder or .onnx file with its voices beside it; "
        "unset: kokoro-82m, with torch hexgrad/Kokoro-82M",
    )
    voice: str = Field("af_heart", description="a file of the model's folder voices, without its ending")
    language: str | None = Field(None, description="en-us, en-gb, fr-fr … as espeak-ng names them; unset: the voice's own")
    device: Literal["cpu", "cuda"] = "cpu"


class Kokoro(SpeechNode):
    """Speaks with Kokoro, clause by clause; a voice's name tells language and sex (af_heart: American, female)."""

    Config: ClassVar[type[NodeConfig]] = KokoroConfig
    config: KokoroConfig
    voice: KokoroVoice

    @classmethod
    def models(cls, config: KokoroConfig) -> tuple[str, ...]:
        """The model with its voices."""
        return (config.model or _DEFAULT_MODEL[config.engine],)

    @classmethod
    def extras(cls, config: KokoroConfig) -> tuple[str, ...]:
        """One more for the engine that is not of the default graph."""
        return (cls.extra, "torch") if config.engine == "torch" else (cls.extra,)

    def load(self) -> KokoroVoice:
        """:raises VoicegraphError: the model or the voice is not here, or espeak-ng does not know the language."""
        config = self.config
        try:
            from nodes.tts.kokoro_voice import KokoroVoice

            if config.engine == "onnx":
                from nodes.tts.kokoro_onnx import OnnxKokoro as Engine
            else:
                from nodes.tts.kokoro_torch import TorchKokoro as Engine  # type: ignore[assignment]
        except ImportError as error:
            extra = "torch" if config.engine == "torch" and error.name in ("torch", "kokoro") else self.extra
            raise MissingExtra("tts.kokoro", extra, str(error.name)) from error
        (reference,) = self.models(config)
        self.runtime.status(f"loading {reference}")
        engine = Engine(locate(reference), config.voice, threads=config.threads, device=config.device)
        language = config.language or LANGUAGES.get(config.voice[:1])
        if language is None:
            raise NodeError(f"set a language: the name of voice '{config.voice}' does not tell it")
        return KokoroVoice(engine, language, config.speed)
