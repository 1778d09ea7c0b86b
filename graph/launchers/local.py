"""Processes on this machine: each node in a session of its own, its output in a file, never in a pipe of ours."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from graph.errors import NodeError
from graph.node_file import VARIABLE, node_file
from graph.plan import Plan
from graph.rundir import NodeProcess, RunDir

# Every numeric library reads its thread count from the environment, before it is imported.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class LocalLauncher:
    """Starts, watches and kills the processes of one run."""

    def __init__(self, plan: Plan, run: RunDir, logs: Path) -> None:
        self._plan = plan
        self._run = run
        self._logs = logs
        self._scratch = run.make_scratch()
        run.make_rings()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._exits: dict[str, int] = {}  # by instance, a descriptor that becomes readable when it ends

    def log(self, instance: str) -> Path:
        """The file that holds what an instance printed."""
        return self._logs / f"{instance}.log"

    def spawn(self, instance: str, life: int, fallback: bool = False) -> int:
        """Start an instance, which was started `life` times before; returns its process id.

        :raises NodeError: the system cannot execute the program.
        """
        node = self._plan.node(self._plan.instance(instance).node)
        environment = {**os.environ, "TMPDIR": str(self._scratch)}
        if node.command:
            told = self._run.node_file(instance)
            told.write_bytes(msgspec.json.encode(node_file(self._plan, self._plan.instance(instance), life, self._run)))
            environment[VARIABLE] = str(told)
            command = list(node.command)
        else:
            environment |= {"PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1"}
            command = [sys.executable, "-P", "-m", "graph.worker", str(self._run.path), instance, str(life)]
        for variable in _THREAD_VARIABLES:
            if node.resources.threads is not None:
                environment[variable] = str(node.resources.threads)
        environment.setdefault("OPENBLAS_NUM_THREADS", "1")  # a pool per process would fight over the cores
        with self.log(instance).open("ab") as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=None if node.terminal else log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:  # it went away since the file was checked, or is a script without a first line #!…
                raise NodeError(f"'{command[0]}' cannot be executed: {error.strerror}") from error
        self._processes[instance] = process
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # an older kernel, or too many descriptors: then we look now and then
                self._exits[instance] = os.pidfd_open(process.pid)
        self._run.register(instance, process.pid, life, fallback)
        return process.pid

    def exit_descriptors(self) -> list[int] | None:
        """Descriptors that become readable when a process ends; None where the system has none for all of them."""
        return list(self._exits.values()) if len(self._exits) == len(self._processes) else None

    def exits(self) -> Iterator[tuple[str, int]]:
        """(instance, exit code) of the processes that have ended since the last call."""
        for instance, process in list(self._processes.items()):
            code = process.poll()
            if code is not None:
                del self._processes[instance]
                if instance in self._exits:
                    os.close(self._exits.pop(instance))
                self.kill_group(process.pid, signal.SIGKILL)  # what it may have started itself
                yield instance, code

    def adopt(self, instance: str, process: NodeProcess) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """TODO"""

    def kill(self, instance: str, how: signal.Signals) -> None:
        """Send a signal to the whole process group of an instance."""
        process = self._processes.get(instance)
        if process is not None:
            self.kill_group(process.pid, how)

    @staticmethod
    def kill_group(pid: int, how: signal.Signals) -> None:
        """Signal a process group; one that is gone is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, how)
