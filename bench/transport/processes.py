"""Who takes part in a run, what processor time they have used, and what memory they hold: the same method for every arm.

A run's processes are those whose environment names its folder: children, grandchildren, daemons that left their parent, and the
roots that were started, which may have written over their environment (redis-server does). Processor time is read from
each process' own clock (clock_getcpuclockid(3): nanoseconds, threads that have ended included; the ticks of /proc are 10 ms, a
whole run's worth of some). It is read while the source waits for the bench, and again when every sink has its last
message, so neither start nor warm-up nor the reading itself is in it. Memory is PSS: pages that several processes share,
shared memory among them, count once in the sum.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.transport.ends import FOLDER_VARIABLE

PATIENCE_S = 3  # for each step of ending what a run left behind


@dataclass(frozen=True)
class Reading:
    """Processor time by process, in nanoseconds."""

    cpu_ns: Mapping[int, int]

    def since(self, earlier: Reading) -> int:
        """What all have used in between; a process that is new counts from its birth, one that is gone not at all."""
        return sum(ns - earlier.cpu_ns.get(pid, 0) for pid, ns in self.cpu_ns.items())


def taking_part(run: Path, roots: Iterable[int]) -> list[psutil.Process]:
    """The living processes of a run."""
    pids, found = set(roots), []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.pid in pids or process.environ().get(FOLDER_VARIABLE) == str(run):
                found.append(process)
    return found


def read_cpu(processes: Iterable[psutil.Process]) -> Reading:
    clocks: dict[int, int] = {}
    for process in processes:
        with suppress(OSError):  # it has just ended
            clocks[process.pid] = time.clock_gettime_ns(_cpu_clock(process.pid))
    return Reading(clocks)


def _cpu_clock(pid: int) -> int:
    """clock_getcpuclockid(3): what a process id becomes as the id of a clock (CPUCLOCK_SCHED is 2)."""
    return (~pid << 3) | 2


def memory_bytes(processes: Iterable[psutil.Process]) -> int:
    """PSS of all together."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def end(run: Path, roots: Iterable[int]) -> list[str]:
    """Ends what is left of a run; tells the names of those that did not listen to SIGTERM."""
    roots = list(roots)
    left = taking_part(run, roots)
    for process in left:
        with suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=PATIENCE_S)
    stubborn += [p for p in taking_part(run, roots) if p not in stubborn]
    names = []
    for process in stubborn:
        with suppress(psutil.Error):
            names.append(process.name())
            process.kill()
    psutil.wait_procs(stubborn, timeout=PATIENCE_S)
    return names
