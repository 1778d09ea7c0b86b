"""Where the loudspeaker is heard, or was just now, the microphone is silent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AUDIBLE_S16 = 300  # of what is played; as nodes.sink.reply_audio has it


def audible(sound: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which of its samples are."""
    found: NDArray[np.bool_] = np.abs(sound.astype(np.int32)) > AUDIBLE_S16
    return found


class Hush:
    """Follows what one loudspeaker plays."""

    def __init__(self, tail: int) -> None:
        """`tail`: samples, for which a room goes on sounding; the way to the microphone included."""
        self._tail = tail
        self._left = 0  # of it

    def over(self, far: NDArray[np.int16]) -> NDArray[np.bool_]:
        """What is played next, shape [n]; True where it is heard, shape [n]."""
        index = np.arange(len(far))
        last = np.maximum.accumulate(np.where(audible(far), index, self._left - self._tail - 1))
        found: NDArray[np.bool_] = index - last <= self._tail
        self._left = max(0, self._tail - (len(far) - 1 - int(last[-1]))) if len(far) else self._left
        return found
