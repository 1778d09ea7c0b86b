"""The Silero VAD model on ONNX Runtime or TorchScript: a speech probability for every 512 samples of 16 kHz sound.

Source of the shapes: github.com/snakers4/silero-vad, `utils_vad.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graph.errors import NodeError
from nodes.speech_audio import SAMPLE_RATE_HZ

WINDOW = 512  # samples, 32 ms
CONTEXT = 64  # samples of the window before

State: TypeAlias = NDArray[np.float32]


def silence() -> State:
    """What the model remembers before it has heard anything."""
    return np.zeros((2, 1, 128), np.float32)


class Model(Protocol):
    """A loaded model. It remembers nothing itself, so that all sessions share it."""

    def __call__(self, sound: NDArray[np.float32], state: State) -> tuple[float, State]:
        """The probability of speech in the last 512 samples of `sound`, shape [1, 64 + 512], and the new state."""


class OnnxModel:
    """On ONNX Runtime with one thread: two are no faster (0.15 ms a window) and have a p99 of 12 ms."""

    def __init__(self, file: Path) -> None:
        """:raises NodeError: the file is not an ONNX model."""
        from nodes.onnx import single_threaded

        self._session = single_threaded(file)
        self._rate = np.array(SAMPLE_RATE_HZ, np.int64)

    def __call__(self, sound: NDArray[np.float32], state: State) -> tuple[float, State]:
        probability, state = self._session.run(None, {"input": sound, "state": state, "sr": self._rate})
        return float(probability[0, 0]), state


class TorchModel:
    """On TorchScript, for those who have torch in the process anyway: the same probabilities at four times the cost."""

    def __init__(self, file: Path) -> None:
        """:raises NodeError: the file is not TorchScript."""
        import torch

        torch.set_num_threads(1)
        self._torch = torch
        try:
            wrapper = torch.jit.load(str(file), map_location="cpu")
        except RuntimeError as error:
            raise NodeError(f"{file} cannot be loaded as TorchScript: {error}") from error
        self._model = wrapper.eval()._model  # the 16 kHz network itself: its wrapper keeps the state of one session only

    def __call__(self, sound: NDArray[np.float32], state: State) -> tuple[float, State]:
        with self._torch.no_grad():
            probability, after = self._model(self._torch.from_numpy(sound), self._torch.from_numpy(state))
        return float(probability), after.numpy()
