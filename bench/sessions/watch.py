"""The processor time of a run while it lasts, looked at now and then; whoever ends early is not missed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from bench.recover.ends import now_ns
from bench.transport.processes import read_cpu, taking_part

EVERY_S = 1.0
FILE = "processor"


def watch(run: Path, ended: Event) -> None:
    """Until the run has ended: its folder gets a line for each look: when, and the processor time so far (both ns)."""
    before, total = read_cpu(()), 0
    with (run / FILE).open("w", buffering=1) as file:
        while not ended.wait(EVERY_S):
            reading = read_cpu(taking_part(run, ()))
            total += reading.since(before)
            before = reading
            print(json.dumps([now_ns(), total]), file=file)


def looks(run: Path) -> list[tuple[int, int]]:
    """All that was written so far."""
    return [(at_ns, cpu_ns) for at_ns, cpu_ns in map(json.loads, (run / FILE).read_text().splitlines())]


def cores(found: Sequence[tuple[int, int]], begin_ns: int, end_ns: int) -> float | None:
    """Processors in use on average from the first look in this time to the last; None: there are not two."""
    inside = [look for look in found if begin_ns <= look[0] <= end_ns]
    if len(inside) < 2:
        return None
    (began_ns, before), (ended_ns, after) = inside[0], inside[-1]
    return (after - before) / (ended_ns - began_ns)
