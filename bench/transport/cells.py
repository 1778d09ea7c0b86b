"""What is measured: payload sizes, rates and shapes, and the three selections of them that the command offers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

KB, MB = 1024, 1024 * 1024
SIZES = (KB, 64 * KB, MB, 8 * MB)
RATES = (50, 1000, 0)  # per second; 0: flat out
# Messages; so many that buffers do not hide how fast they are taken: of 20,000 of 1 KB some arms keep a quarter in memory.
FLAT_OUT = {KB: 100_000, 64 * KB: 10_000, MB: 500, 8 * MB: 60}
FAN_OUTS = (2, 4, 8)
BYTE_RATE_MAX = 1_000_000_000  # per second and receiver; a machine that copies twice is at the end of its memory there
SECONDS = {50: 3.2, 1000: 2.5}  # how long a paced run lasts, by rate

Shape = Literal["1 hop", "3 hops", "fan-out"]


@dataclass(frozen=True, order=True)
class Cell:
    """One row of the table. `hops` counts links one after the other, `sinks` those that hear the same message."""

    size: int  # bytes
    rate: int  # messages per second, 0: flat out
    hops: int = 1
    sinks: int = 1
    count: int = 0

    @property
    def shape(self) -> Shape:
        return "fan-out" if self.sinks > 1 else "1 hop" if self.hops == 1 else "3 hops"

    @property
    def key(self) -> tuple[int, int, int, int]:
        """What makes two cells the same, whatever their number of messages."""
        return self.size, self.rate, self.hops, self.sinks

    @property
    def name(self) -> str:
        shape = f", fan-out {self.sinks}" if self.sinks > 1 else f", {self.hops} hops" if self.hops > 1 else ""
        return f"{size_name(self.size)} {rate_name(self.rate)}{shape}"


def size_name(size: int) -> str:
    """64 KB, 8 MB."""
    return f"{size // MB} MB" if size >= MB else f"{size // KB} KB"


def rate_name(rate: int) -> str:
    return f"{rate}/s" if rate else "flat out"


def cell(size: int, rate: int, hops: int = 1, sinks: int = 1) -> Cell:
    """A cell with as many messages as make it last a few seconds."""
    return Cell(size, rate, hops, sinks, int(rate * SECONDS[rate]) if rate else FLAT_OUT[size])


def full() -> list[Cell]:
    """Every size at every rate over one hop, three hops, and fan-out; fan-out 1 is the one hop."""
    cells = [cell(size, rate) for rate in RATES for size in SIZES]
    cells += [cell(KB, 50, hops=3), cell(KB, 1000, hops=3), cell(MB, 50, hops=3)]
    cells += [cell(size, 50, sinks=sinks) for size in (KB, MB) for sinks in FAN_OUTS]
    return [one for one in cells if not too_much(one)]


def left_out() -> list[Cell]:
    """What the full selection would hold, were it not for its byte rate."""
    return [one for one in (cell(size, rate) for rate in RATES for size in SIZES) if too_much(one)]


def too_much(one: Cell) -> bool:
    return one.size * one.rate > BYTE_RATE_MAX


def quick() -> list[Cell]:
    """Two cells with few messages: does everything run, and roughly how fast."""
    return [replace(cell(KB, 50), count=50), replace(cell(KB, 0), count=5_000)]
