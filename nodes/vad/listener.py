"""One session's ear: frames of any length in, windows of 512 samples to the model, speech events out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nodes.speech_audio import SAMPLE_RATE_HZ
from nodes.vad.base import SpeechEnded
from nodes.vad.segmenter import Limits, Segmenter, SpeechEvent
from nodes.vad.silero_model import CONTEXT, WINDOW, Model, silence

FULL_SCALE = 32_768  # of s16
LONGEST_FILLED_GAP = SAMPLE_RATE_HZ  # a second; behind a longer gap everything begins anew
_NOTHING_HEARD: NDArray[np.float32] = np.zeros(CONTEXT, np.float32)  # what waits: the context, then less than a window


class Listener:
    """Hears the frames of a session in their order.

    A short gap is heard as silence. Behind a long one, or where the count of samples goes back because the source was
    started again, open speech is ended and listening begins anew. Who joins late ends the speech that another, dead by now,
    may have left open.
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.gaps = 0
        self.lost = 0  # samples that never came
        self.origin_ns = 0  # of the newest frame
        self.warned = False  # of frames that cannot be heard
        self._model = model
        self._limits = limits
        self._expected = 0  # first sample of the next frame
        self._segmenter = Segmenter(limits)
        self._state = silence()
        self._waiting = _NOTHING_HEARD

    def hear(self, payload: bytes | memoryview, start: int, origin_ns: int) -> Iterator[SpeechEvent]:
        """Take in a frame of s16 samples, the first of which has the index `start`."""
        frame = np.frombuffer(payload, "<i2").astype(np.float32) / FULL_SCALE
        gap = start - self._expected
        joins = self._expected == 0 and gap > LONGEST_FILLED_GAP
        if gap > 0 and not joins:
            self.gaps += 1
            self.lost += gap
        if not 0 <= gap <= LONGEST_FILLED_GAP:
            yield from self._segmenter.finish()
            if joins:
                yield SpeechEnded(start, 0, SAMPLE_RATE_HZ)
            self._begin(start)
            gap = 0
        self._expected = start + len(frame)
        self.origin_ns = origin_ns
        waiting = np.concatenate([self._waiting, np.zeros(gap, np.float32), frame])
        whole = (len(waiting) - CONTEXT) // WINDOW * WINDOW
        for at in range(0, whole, WINDOW):
            probability, self._state = self._model(waiting[None, at : at + CONTEXT + WINDOW], self._state)
            yield from self._segmenter.window(probability, WINDOW)
        self._waiting = waiting[whole:]

    @property
    def in_speech(self) -> bool:
        """True from the start of speech to its end."""
        return self._segmenter.in_speech

    @property
    def speaking(self) -> bool:
        """True while speech is not paused."""
        return self._segmenter.speaking

    @property
    def suspects(self) -> bool:
        """True while there is voice that is too short yet to be speech."""
        return self._segmenter.suspects

    @property
    def expected(self) -> int:
        """The first sample of the next frame."""
        return self._expected

    def go_on(self, start: int) -> None:
        """Go on where another has stopped, in silence."""
        self._expected = start
        self._begin(start)

    def finish(self) -> Iterator[SpeechEvent]:
        """Nothing more will come."""
        return self._segmenter.finish()

    def _begin(self, start: int) -> None:
        self._segmenter = Segmenter(self._limits, start)
        self._state = silence()
        self._waiting = _NOTHING_HEARD
