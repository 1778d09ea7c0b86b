"""Kokoro with its original weights, through PyTorch.

Only `kokoro.KModel` is used: `KPipeline` would bring misaki's English phonemes, and with them a spaCy model to download. The
phonemes are the same as those of the ONNX engine.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

import torch
from kokoro import KModel

from graph.errors import NodeError
from nodes.tts.kokoro_voice import find_voice

if TYPE_CHECKING:
    from nodes.tts.pcm import Samples


class TorchKokoro:
    """A `nodes.tts.kokoro_voice.Engine`. A call in hand cannot be aborted."""

    def __init__(self, model: Path, voice: str, *, threads: int, device: str) -> None:
        """:raises NodeError: the model or the voice is not there or not what it should be, or there is no such device."""
        if device == "cuda" and not torch.cuda.is_available():
            raise NodeError("this torch sees no CUDA device: install a CUDA build of torch, or set device: cpu")
        files = sorted(model.glob("*.pth"))
        if len(files) != 1 or not (model / "config.json").is_file():
            raise NodeError(f"{model} is not a Kokoro model for torch: it should hold config.json and one .pth file")
        torch.set_num_threads(threads)
        style_file = find_voice([model], voice, ".pt")
        try:
            self._model = KModel("local", str(model / "config.json"), str(files[0])).to(device).eval()
            styles = torch.load(style_file, map_location=device, weights_only=True)
        except (OSError, RuntimeError, UnpicklingError, KeyError, AssertionError, EOFError) as error:
            raise NodeError(f"{model} cannot be loaded: {type(error).__name__}: {error}") from error
        self._styles = styles.reshape(-1, 1, styles.shape[-1])
        self.max_phonemes = min(self._model.context_length - 2, len(self._styles))

    def infer(self, phonemes: str, speed: float) -> Samples:
        style = self._styles[min(len(phonemes), len(self._styles)) - 1]
        samples: Samples = self._model(phonemes, style, speed).numpy()
        return samples

    def begin(self) -> None:
        """Nothing to do: nothing can be aborted."""

    def abort(self) -> None:
        """A call of torch runs to its end."""
