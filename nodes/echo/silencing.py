"""The ear that does not listen while the loudspeaker is heard."""

from __future__ import annotations

import numpy as np

from nodes.echo.hush import Hush
from nodes.echo.room import Samples


class Silencing:
    """See `nodes.echo.room.Ear`."""

    def __init__(self, tail: int) -> None:
        """`tail`: samples; see `Hush`."""
        self._hush = Hush(tail)

    def hear(self, near: Samples, far: Samples) -> Samples:
        return np.where(self._hush.over(far), np.int16(0), near)
