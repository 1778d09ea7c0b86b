"""Runs with made-up figures, for what only computes with them."""

from __future__ import annotations

from typing import Any

from bench.transport.cells import KB, Cell
from bench.transport.figures import Run

SMALL = Cell(KB, 50, count=160)
FLAT_OUT = Cell(KB, 0, count=1000)


def run(arm: str, round_number: int = 0, cell: Cell = SMALL, **figures: Any) -> Run:
    """A run whose figures are ordinary but for those named."""
    ordinary = {"p50_us": 300.0, "p99_us": 900.0, "per_second": 50.0, "lost": 0.0, "cpu_us": 500.0, "memory_mb": 80.0}
    return Run(arm, cell, round_number, **{**ordinary, **figures})
