"""What the processes of a graph take: processor, memory and time, looked at once a second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from graph.events import Measured

EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Vital:
    """One process, when it was looked at last."""

    began_at: float  # seconds since the epoch
    cpu_s: float = 0.0  # that it has used
    cpu_percent: float = 0.0  # of one processor, between the last two looks
    rss: int = 0  # bytes


class Vitals:
    """Looks at processes by their ids; one that is gone is left out. A look at 200 takes about 10 ms.

    :param limited: the instances whose memory is limited.
    """

    def __init__(self, limited: frozenset[str] = frozenset()) -> None:
        self._limited = limited
        self._processes: dict[str, psutil.Process] = {}
        self._vitals: dict[str, Vital] = {}
        self._looked_s = 0.0

    def due(self, now_s: float) -> bool:
        """True when it is time to look again."""
        return now_s - self._looked_s >= EVERY_S

    def look(self, pids: Mapping[str, int], now_s: float) -> Iterator[Measured]:
        """Look at the processes, by instance; yields what those take whose memory is limited."""
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        before, self._vitals = self._vitals, {}
        for instance, pid in pids.items():
            process = self._processes.get(instance)
            try:
                if process is None or process.pid != pid:
                    process = psutil.Process(pid)
                    before.pop(instance, None)
                used, memory = process.cpu_times(), process.memory_info()
                began_at = process.create_time()
            except psutil.Error:  # it has just gone, which the supervisor will hear
                self._processes.pop(instance, None)
                continue
            self._processes[instance] = process
            cpu_s, last = used.user + used.system, before.get(instance)
            percent = 100 * (cpu_s - last.cpu_s) / passed_s if last is not None and passed_s > 0 else 0.0
            self._vitals[instance] = Vital(began_at, cpu_s, max(0.0, percent), memory.rss)
            if instance in self._limited:
                yield Measured(instance, memory.rss)

    def of(self, instance: str) -> Vital:
        """What an instance takes; nothing, where it was never seen."""
        return self._vitals.get(instance) or Vital(time.time())
