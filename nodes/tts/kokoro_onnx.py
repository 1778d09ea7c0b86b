"""Kokoro exported to ONNX: the default engine, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from kokoro_onnx.config import DEFAULT_VOCAB, MAX_PHONEME_LENGTH
from kokoro_onnx.session import embedded_vocab, input_dtypes

from graph.errors import NodeError
from nodes.model_file import only_file
from nodes.tts.kokoro_voice import find_voice
from nodes.tts.onnx import AbortableSession

if TYPE_CHECKING:
    from nodes.tts.pcm import Samples


class OnnxKokoro:
    """A `nodes.tts.kokoro_voice.Engine`.

    kokoro_onnx.Kokoro is not used itself: it takes voices as one .npz file only, while they come as raw float32 [510, 1, 256].
    """

    max_phonemes = MAX_PHONEME_LENGTH

    def __init__(self, model: Path, voice: str, *, threads: int, device: str) -> None:
        """:raises NodeError: the model or the voice is not there or not what it should be."""
        file = only_file(model, ".onnx")
        styles = np.fromfile(find_voice([file.parent, file.parent.parent], voice, ".bin"), np.float32)
        if not styles.size or styles.size % 256:
            raise NodeError(f"voice '{voice}' of {model} is damaged: it is not made of style vectors of 256 numbers")
        self._styles = styles.reshape(-1, 1, 256)
        self._session = AbortableSession(file, threads, device)
        self._types = input_dtypes(self._session)
        self._tokens = "input_ids" if "input_ids" in self._types else "tokens"  # exports differ
        if set(self._types) != {self._tokens, "style", "speed"}:
            raise NodeError(f"{file} is not a Kokoro model: it wants {', '.join(self._types)}")
        self._vocab = embedded_vocab(self._session) or DEFAULT_VOCAB

    def infer(self, phonemes: str, speed: float) -> Samples:
        tokens = [self._vocab[p] for p in phonemes if p in self._vocab]
        style = self._styles[min(max(len(tokens), 1), len(self._styles)) - 1]  # one for each number of phonemes, from 1
        inputs = {self._tokens: [[0, *tokens, 0]], "style": style, "speed": [speed]}
        outputs = self._session.run(None, {name: np.asarray(value, self._types[name]) for name, value in inputs.items()})
        samples: Samples = np.asarray(outputs[0], np.float32).ravel()
        return samples

    def begin(self) -> None:
        self._session.rearm()

    def abort(self) -> None:
        self._session.abort()
