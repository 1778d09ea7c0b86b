"""Ends what a killed supervisor has left."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from graph.rundir import NodeProcess, RunDir, process_of
from graph.running import Running

LEAVE_WITHIN_S = 5.0  # from SIGTERM to SIGKILL, as the supervisor does it
LOOK_S = 0.02


def end_orphans(graph: Running, now: bool = False) -> int:
    """End the nodes of a graph that has no supervisor, and remove its folder; returns how many there were.

    :param now: with SIGKILL at once, not with SIGTERM first.
    :raises VoicegraphError: a supervisor has just taken over.
    """
    directory = graph.directory
    lock = directory.lock()  # so that nobody takes over what is being ended
    try:
        count = len(directory.alive())
        if not now:
            _signal(directory, signal.SIGTERM)
            _gone(directory, LEAVE_WITHIN_S)
        _signal(directory, signal.SIGKILL)
        _gone(directory, LEAVE_WITHIN_S)
        directory.remove()
    finally:
        os.close(lock)
    return count


def _signal(directory: RunDir, how: signal.Signals) -> None:
    for process in directory.alive().values():
        _kill(process, how)


def _kill(process: NodeProcess, how: signal.Signals) -> None:
    """Signal a node and what it has started; one that is gone, or whose number is somebody else's now, is no error."""
    now = process_of(process.pid)
    if now is None or now.started != process.started:
        return
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, how)
        else:
            os.kill(process.pid, how)


def _gone(directory: RunDir, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while directory.alive() and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
