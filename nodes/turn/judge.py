"""The Smart Turn model: from the sound of the last 8 s, has the speaker finished?

Source of how the input is made: pipecat-ai 1.14, `audio/turn/smart_turn/local_smart_turn_v3.py` and `_whisper_features.py`:
the newest 8 s with zeros in front, normalised as a whole, as Whisper's log-mel spectrum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor  # imports CTranslate2, too: 0.2 s and 35 MB, once
from numpy.typing import NDArray

from nodes.onnx import single_threaded
from nodes.speech_audio import SAMPLE_RATE_HZ

FULL_SCALE = 32_768  # of s16
WINDOW_S = 8
WINDOW = WINDOW_S * SAMPLE_RATE_HZ
VARIANCE_FLOOR = 1e-7  # of the normalisation, as in transformers' WhisperFeatureExtractor


class Judge(Protocol):
    """Anything that can tell how complete a turn sounds."""

    def __call__(self, samples: NDArray[np.int16]) -> float:
        """The probability that the speaker of these 16 kHz samples has finished, 0 to 1."""


class SmartTurnJudge:
    """On ONNX Runtime with one thread: about 90 ms a judgement; two threads take twice as long."""

    def __init__(self, file: Path) -> None:
        """:raises NodeError: the file is not an ONNX model."""
        self._session = single_threaded(file)
        self._mel = FeatureExtractor(sampling_rate=SAMPLE_RATE_HZ, chunk_length=WINDOW_S)
        self(np.zeros(SAMPLE_RATE_HZ, np.int16))  # the first run allocates, and takes longer than the others

    def __call__(self, samples: NDArray[np.int16]) -> float:
        (probability,) = self._session.run(None, {"input_features": self.features(samples)})[0].ravel()
        return float(probability)

    def features(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """The model's input, shape [1, 80, 800]."""
        newest = samples[-WINDOW:].astype(np.float32) / FULL_SCALE
        sound = np.pad(newest, (WINDOW - len(newest), 0))
        sound = (sound - sound.mean()) / np.sqrt(sound.var() + VARIANCE_FLOOR)
        features: NDArray[np.float32] = self._mel(sound, padding=0)[None]
        return features
