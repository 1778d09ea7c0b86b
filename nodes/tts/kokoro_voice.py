"""Kokoro from text to samples; what the engines under it have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kokoro_onnx.chunker import split_phonemes
from kokoro_onnx.config import SAMPLE_RATE
from kokoro_onnx.tokenizer import Tokenizer

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


class KokoroVoice:
    """A `nodes.tts.speech.Voice`."""

    sample_rate = SAMPLE_RATE

    def __init__(self, engine: Engine, language: str, speed: float) -> None:
        """:raises NodeError: espeak-ng does not know the language."""
        self.language = language
        self._engine = engine
        self._speed = speed
        self._tokenizer = Tokenizer()
        try:
            self._tokenizer.phonemize("a", language)
        except RuntimeError as error:  # phonemizer's, for a language that it does not know
            raise NodeError(f"language '{language}' cannot be spoken: {error}") from error

    def synthesise(self, text: str) -> Iterator[Samples]:
        """The samples of each batch of phonemes; all but very long texts are one batch."""
        self._engine.begin()
        phonemes = " ".join(self._tokenizer.phonemize(text, self.language).split())
        for batch in split_phonemes(phonemes, self._engine.max_phonemes):
            yield self._engine.infer(batch, self._speed)

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
