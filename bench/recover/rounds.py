"""One run of one arm: start it, kill its relay, end it; start it again, kill its supervisor."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from bench.recover.arms import Arm
from bench.recover.ends import heard, now_ns
from bench.recover.figures import Gap, gap_after
from bench.transport.processes import taking_part

T = TypeVar("T")
PATIENCE_S = 20.0
STEADY_S = 1.0  # how long messages flow before anything is done to them, and after
WATCHED_S = 2.0  # after the supervisor's death


@dataclass(frozen=True)
class Figures:
    """Seconds; None where it did not happen at all."""

    first_message_s: float | None
    relay_killed: Gap | None  # from the last message through the dead to the first through its successor
    ctrl_c_s: float | None
    supervisor_killed: Gap | None


def measure(arm: Arm) -> Figures:
    """Run an arm twice."""
    with started(arm) as (run, process, began_ns):
        first = _wait(lambda: heard(run)[:1])
        gap = _kill_relay(run) if first else None
        at_ns = now_ns()
        process.send_signal(signal.SIGINT)
        ended = _wait(lambda: process.poll() is not None)  # Popen.wait looks every 50 ms only
        ended_s = (now_ns() - at_ns) / 1e9 if ended else None
        first_s = (first[0][2] - began_ns) / 1e9 if first else None
    with started(arm) as (run, process, _):
        _wait(lambda: len(heard(run)) > 100)
        time.sleep(STEADY_S)
        at_ns = now_ns()
        process.kill()
        time.sleep(WATCHED_S)
        records = heard(run)
        alive = bool(records) and now_ns() - records[-1][2] < WATCHED_S / 2 * 1e9
        return Figures(first_s, gap, ended_s, gap_after(records, at_ns, now_ns()) if alive else None)


def _kill_relay(run: Path) -> Gap | None:
    """None where nothing comes through a successor."""
    time.sleep(STEADY_S)
    file = run / "relay.pid"
    dead = int(file.read_text())
    at_ns = now_ns()
    psutil.Process(dead).kill()
    if not _wait(lambda: int(file.read_text() or dead) != dead):
        return None
    back_ns = now_ns()
    if not _wait(lambda: heard(run)[-1][2] > back_ns):
        return None
    time.sleep(STEADY_S)
    return gap_after(heard(run), at_ns, now_ns())


@contextmanager
def started(arm: Arm) -> Iterator[tuple[Path, subprocess.Popen[bytes], int]]:
    """An arm in a folder of its own; all of its processes are ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="vgb-", dir="/tmp") as made:
        run = Path(made)
        with arm.prepared(run):
            with (run / "printed").open("wb") as out:
                command, environment = arm.command(run), arm.environment(run)
                began_ns = now_ns()
                process = subprocess.Popen(command, cwd=run, env=environment, stdout=out, stderr=out)
            try:
                yield run, process, began_ns
            finally:
                left = taking_part(run, [process.pid])
                for one in left:
                    with suppress(psutil.Error):
                        one.kill()
                psutil.wait_procs(left, timeout=PATIENCE_S)
                process.wait()


def _wait(condition: Callable[[], T]) -> T | None:
    """What it gives once it is true; None when that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.001)
    return None
