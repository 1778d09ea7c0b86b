"""Processes on this machine: each node in a session of its own, its output in a file, never in a pipe of ours.

They are children of the run's nursery, not of the supervisor, which may be killed and come back.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from graph.epoch import Epoch
from graph.launchers.asking import NurseryClient
from graph.launchers.requests import SpawnChild
from graph.launchers.resources import check_environment, environment, needs_fresh_process, working_directory
from graph.node_file import VARIABLE, node_file
from graph.plan import PlannedNode
from graph.rundir import NodeProcess, RunDir, process_of, unburied

CODE_WITHIN_S = 5.0  # that a nursery which is busy, or has been stopped, may take over a dead child
LOOK_S = 0.001
FORKS = sys.platform.startswith("linux")  # elsewhere a system library may not bear it
STDOUT = 1


@dataclass(frozen=True)
class _Watched:
    process: NodeProcess
    descriptor: int = -1  # readable once it has ended; -1: we look now and then


class LocalLauncher:
    """Starts, watches and kills the processes of one run. Where an earlier supervisor has left some, `adopt` them."""

    def __init__(self, epoch: Epoch, run: RunDir, logs: Path) -> None:
        self._epoch = epoch
        self._run = run
        self._logs = logs
        self._scratch = run.make_scratch()
        run.make_rings()
        self._nursery = NurseryClient(run)
        self._watched: dict[str, _Watched] = {}
        self._ended_s: dict[str, float] = {}  # of those that have ended and whose code is not known yet, since when
        self._unwatched = 0  # of them, those without a descriptor
        self._ends = select.epoll() if hasattr(select, "epoll") and hasattr(os, "pidfd_open") else None

    def replan(self, epoch: Epoch) -> None:
        """What is started from now on is of this epoch."""
        self._epoch = epoch

    def log(self, instance: str) -> Path:
        """The file that holds what an instance printed."""
        return self._logs / f"{instance}.log"

    def spawn(self, instance: str, life: int, fallback: bool = False) -> int:
        """Start an instance, which was started `life` times before, or its node's fallback; returns its process id.

        :raises NodeError: the system cannot execute the program, or does not give it its `resources`.
        """
        node = self._epoch.working(instance, fallback)
        request = self._request(node, instance, life, fallback)
        with self.log(instance).open("ab") as log:
            answer = self._nursery.spawn(request, STDOUT if node.terminal else log.fileno(), log.fileno())
        self._watch(instance, NodeProcess(answer.pid, answer.started, life, fallback))
        return answer.pid

    def adopt(self, instance: str, process: NodeProcess) -> None:
        """Watch a process that an earlier supervisor has had started."""
        self._watch(instance, process)

    def exit_descriptors(self) -> list[int] | None:
        """A descriptor that becomes readable when a process ends; None where the system has none for all of them."""
        return [self._ends.fileno()] if self._ends is not None and not self._unwatched else None

    def exits(self) -> Iterator[tuple[str, int | None]]:
        """(instance, exit code) of the processes that have ended since the last call; None: nobody knows the code.

        One whose parent has yet to write the code down is left for the next call.
        """
        waiting = False
        for instance in self._ended():
            process = self._watched[instance].process
            first_s = self._ended_s.setdefault(instance, time.monotonic())
            awaited = self._nursery.alive and unburied(process) and time.monotonic() - first_s < CODE_WITHIN_S
            code = self._run.exit_code(instance, process.life)  # written before the burial, so read after the look at it
            if code is None and awaited:
                waiting = True
                continue
            self._forget(instance)
            found = process_of(process.pid)
            if found is None or found.started == process.started:  # what it started itself, if the nursery died before it
                self.kill_group(process.pid, signal.SIGKILL)
            yield instance, code
        if waiting:
            time.sleep(LOOK_S)

    def kill(self, instance: str, how: signal.Signals) -> None:
        """Send a signal to the whole process group of an instance."""
        watched = self._watched.get(instance)
        if watched is None:
            return
        process = process_of(watched.process.pid)
        if process is not None and process.started == watched.process.started:
            try:
                os.killpg(process.pid, how)
                return
            except ProcessLookupError:
                pass  # just forked: it is not the head of a group yet
        if watched.descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(watched.descriptor, how)

    @staticmethod
    def kill_group(pid: int, how: signal.Signals) -> None:
        """Signal a process group; one that is gone is no error."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, how)

    def close(self) -> None:
        """End the nursery and all that lives."""
        for instance in list(self._watched):
            self.kill(instance, signal.SIGKILL)
            self._forget(instance)
        self._nursery.leave()
        if self._ends is not None:
            self._ends.close()

    # ---------------------------------------------------------------- what is asked for

    def _request(self, node: PlannedNode, instance: str, life: int, fallback: bool) -> SpawnChild:
        resources = node.resources
        variables = {"TMPDIR": str(self._scratch), **environment(resources)}
        check_environment(variables)
        cwd = working_directory(resources)
        command: tuple[str, ...] = ()
        if node.command:
            told = self._run.node_file(instance)
            described = node_file(self._epoch.plan, self._epoch.instance(instance), life, self._run, fallback)
            told.write_bytes(msgspec.json.encode(described))
            variables[VARIABLE] = str(told)
            command = node.command
            if "/" in command[0]:
                command = (str(Path(command[0]).absolute()), *command[1:])
        elif needs_fresh_process(resources) or not FORKS:
            variables |= {"PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1"}
            worker = [sys.executable, "-P", "-m", "graph.worker", str(self._run.path), instance, str(life)]
            command = (*worker, *(["fallback"] if fallback else []))
        # A worker goes to its folder by itself, once its module is found.
        return SpawnChild(
            instance=instance,
            life=life,
            command=command,
            environment=variables,
            fallback=fallback,
            cpus=resources.cpus,
            nice=resources.nice,
            cwd=cwd if node.command else "",
        )

    # ---------------------------------------------------------------- who has ended

    def _watch(self, instance: str, process: NodeProcess) -> None:
        descriptor = -1
        if self._ends is not None and process.started >= 0:
            with contextlib.suppress(OSError):  # it is gone, or there are too many descriptors: then we look now and then
                descriptor = os.pidfd_open(process.pid)
        if descriptor >= 0 and self._ends is not None:
            found = process_of(process.pid)
            if found is not None and found.started == process.started:
                self._ends.register(descriptor, select.EPOLLIN)
            else:  # its id is somebody else's by now, or about to be
                os.close(descriptor)
                descriptor = -1
        self._unwatched += descriptor < 0
        self._watched[instance] = _Watched(process, descriptor)

    def _forget(self, instance: str) -> _Watched:
        watched = self._watched.pop(instance)
        self._ended_s.pop(instance, None)
        if watched.descriptor < 0:
            self._unwatched -= 1
        else:
            if self._ends is not None:
                self._ends.unregister(watched.descriptor)
            os.close(watched.descriptor)
        return watched

    def _ended(self) -> list[str]:
        ready = {descriptor for descriptor, _ in self._ends.poll(0, max(1, len(self._watched)))} if self._ends else set()
        if not ready and not self._unwatched:
            return []
        ended = []
        for instance, (process, descriptor) in ((i, (w.process, w.descriptor)) for i, w in self._watched.items()):
            if descriptor in ready:
                ended.append(instance)
            elif descriptor < 0:
                found = process_of(process.pid)
                if found is None or found.started != process.started:
                    ended.append(instance)
        return ended
