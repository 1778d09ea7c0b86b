"""The Smart Turn model: from the sound of the last 8 s, has the speaker finished?

Source of the input's making: pipecat-ai 1.14, `audio/turn/smart_turn/local_smart_turn_v3.py`: the newest 8 s, zeros in front,
normalised, as Whisper's log-mel spectrum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
WINDOW_S = 8
MEL_FRAMES = WINDOW_S * 100
_VARIANCE_FLOOR = 1e-7  # of the normalisation, as in transformers' WhisperFeatureExtractor


class Judge(Protocol):
    """Anything that can tell how complete a turn sounds."""

    def __call__(self, samples: NDArray[np.int16]) -> float:
        """The probability that the speaker of these 16 kHz samples has finished, 0 to 1."""


class SmartTurnJudge:
    """On ONNX Runtime with one thread: about 90 ms a judgement; two threads take twice as long."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._mel = FeatureExtractor(feature_size=80, sampling_rate=SAMPLE_RATE_HZ, chunk_length=WINDOW_S)

    def __call__(self, samples: NDArray[np.int16]) -> float:
        [[probability]] = self._session.run(None, {"input_features": self.features(samples)})[0].reshape(1, 1)
        return float(probability)

    def features(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """The model's input, shape [1, 80, 800]."""
        newest = samples[-WINDOW_S * SAMPLE_RATE_HZ :].astype(np.float32) / 32_768
        sound = np.pad(newest, (WINDOW_S * SAMPLE_RATE_HZ - len(newest), 0))
        sound = (sound - sound.mean()) / np.sqrt(sound.var() + _VARIANCE_FLOOR)
        return np.ascontiguousarray(self._mel(sound)[None, :, :MEL_FRAMES], dtype=np.float32)
