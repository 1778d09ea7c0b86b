"""Kokoro from text to samples; what the engines under it have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kokoro_onnx.chunker import split_phonemes
from kokoro_onnx.config import SAMPLE_RATE
from kokoro_onnx.tokenizer import Tokenizer
from phonemizer.backend import EspeakBackend

from graph.errors import NodeError
from graph.validation import did_you_mean

if TYPE_CHECKING:
    from nodes.tts.pcm import Samples


class Engine(Protocol):
    """The model with the style of one voice."""

    max_phonemes: int  # in one call

    def infer(self, phonemes: str, speed: float) -> Samples:
        """Samples at 24 kHz of at most `max_phonemes`; blocking."""

    def begin(self) -> None:
        """A new text begins: what was aborted is over."""

    def abort(self) -> None:
        """Make a running `infer`, and those that follow, raise until `begin`, if the engine can."""


class Phonemes:
    """What espeak-ng makes of a text, in the phonemes that Kokoro knows."""

    def __init__(self, language: str) -> None:
        """:raises NodeError: espeak-ng does not know the language."""
        self._language = language
        self._tokenizer = Tokenizer()
        if not EspeakBackend.is_supported_language(language):
            raise NodeError(f"espeak-ng does not know language '{language}' (en-us, en-gb, fr-fr …)")

    def __call__(self, text: str) -> str:
        phonemes: str = self._tokenizer.phonemize(text, self._language)
        return " ".join(phonemes.split())


class KokoroVoice:
    """A `nodes.tts.speech.Voice`."""

    sample_rate = SAMPLE_RATE

    def __init__(self, engine: Engine, language: str, speed: float) -> None:
        """:raises NodeError: espeak-ng does not know the language."""
        self.language = language
        self._engine = engine
        self._phonemes = Phonemes(language)
        self._speed = speed

    def synthesise(self, text: str) -> Iterator[Samples]:
        self._engine.begin()
        for batch in self.batches(text):
            yield self._engine.infer(batch, self._speed)

    def batches(self, text: str) -> list[str]:
        """The phonemes of a text, cut where it hurts least into as many as the engine takes; mostly one piece."""
        batches: list[str] = split_phonemes(self._phonemes(text), self._engine.max_phonemes)
        return batches

    def abort(self) -> None:
        self._engine.abort()


def find_voice(folders: list[Path], voice: str, suffix: str) -> Path:
    """The file of a voice in the first folder `voices` that there is.

    :raises NodeError: there is no such folder, or no such voice in it.
    """
    voices = next((f / "voices" for f in folders if (f / "voices").is_dir()), None)
    if voices is None:
        raise NodeError(f"{folders[0]} has no folder 'voices'")
    names = sorted(file.stem for file in voices.glob(f"*{suffix}"))
    if voice not in names:
        hint = did_you_mean(voice, names) or f"for example {', '.join(names[:3])}"
        raise NodeError(f"there is no voice '{voice}' among the {len(names)} of {voices} ({hint})")
    return voices / f"{voice}{suffix}"
