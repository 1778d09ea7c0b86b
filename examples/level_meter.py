"""Shows what the node in examples/javascript/level.mjs says: examples/level.yaml."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind, Message
from graph.node import Input, Node

BAR = 60  # dB that the bar shows


class Level(Kind, frozen=True, omit_defaults=True):
    """How loud a frame of sound was."""

    kind: ClassVar[str] = "audio.level"
    start: int = 0  # index of the frame's first sample
    sample_rate: int = 16_000  # Hz
    rms_db: float = 0.0  # relative to full scale
    peak_db: float = 0.0


class LevelMeter(Node):
    """Draws a line for every half second: its loudest frame."""

    terminal = True
    level = Input(Level)

    def setup(self) -> None:
        self._slot = 0
        self._loudest: Level | None = None

    def on_level(self, message: Message[Level]) -> None:
        level = message.body
        slot = 2 * level.start // level.sample_rate
        if slot != self._slot:
            self._draw()
            self._slot, self._loudest = slot, None
        if self._loudest is None or level.rms_db > self._loudest.rms_db:
            self._loudest = level

    def drain(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._loudest is not None:
            bar = "#" * max(0, round(BAR + self._loudest.rms_db))
            print(f"{self._slot / 2:6.1f} s {self._loudest.rms_db:7.1f} dB  {bar}", flush=True)
