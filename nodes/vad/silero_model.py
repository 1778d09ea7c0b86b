"""The Silero VAD model on ONNX Runtime or TorchScript: a speech probability for every 512 samples of 16 kHz sound.

Source of the shapes: github.com/snakers4/silero-vad, `utils_vad.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

WINDOW = 512  # samples, 32 ms
_CONTEXT = 64  # samples of the window before
_SAMPLE_RATE_HZ = 16_000


class Listener(Protocol):
    """One session's ear: it remembers what it heard."""

    def __call__(self, window: NDArray[np.float32]) -> float:
        """The probability of speech in the next window, shape [512], -1 to 1."""


class Model(Protocol):
    """A loaded model; makes a listener a session."""

    def listener(self) -> Listener: ...


class OnnxModel:
    """On ONNX Runtime with one thread: two are no faster (0.15 ms a window) and have a p99 of 12 ms."""

    def __init__(self, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def listener(self) -> Listener:
        state: NDArray[np.float32] = np.zeros((2, 1, 128), np.float32)
        heard: NDArray[np.float32] = np.zeros((1, _CONTEXT + WINDOW), np.float32)
        rate = np.array(_SAMPLE_RATE_HZ, np.int64)

        def probability(window: NDArray[np.float32]) -> float:
            nonlocal state
            heard[:, :_CONTEXT] = heard[:, -_CONTEXT:]
            heard[0, _CONTEXT:] = window
            out, state = self._session.run(None, {"input": heard, "state": state, "sr": rate})
            return float(out[0, 0])

        return probability


class TorchModel:
    """On TorchScript, for those who have torch in the process anyway; the same probabilities, 4 times the cost."""

    def __init__(self, file: Path) -> None:
        import torch

        torch.set_num_threads(1)
        self._torch = torch
        self._file = file

    def listener(self) -> Listener:
        torch = self._torch
        script = torch.jit.load(str(self._file), map_location="cpu")  # it keeps its state itself: one copy a session
        script.eval()

        def probability(window: NDArray[np.float32]) -> float:
            with torch.no_grad():
                return float(script(torch.from_numpy(window.copy()), _SAMPLE_RATE_HZ))

        return probability
