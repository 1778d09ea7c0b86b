"""`python -P -m graph.launchers.nursery RUN_DIR`: the parent of all nodes of a run, which outlives the supervisor.

It has loaded what every worker needs, so that a fork is a node; it reaps its children and writes down how each ended, for
whichever supervisor wants to know. It has one thread, no ZeroMQ context, and a session of its own. It ends when it has no
living child and nobody is connected, or when its folder is gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from graph import logs
from graph.epoch import Epoch
from graph.launchers.child import arguments_at, become
from graph.launchers.heap import fill_holes, gather, settle
from graph.launchers.requests import REQUEST_BYTES, FromNursery, Leave, Refused, SpawnChild, Spawned, encode, to_nursery
from graph.links.partitions import partitions_of_replica
from graph.message import host_id
from graph.rundir import EPOCH, RunDir, process_of

# Packets keep requests apart; where there are none a stream does, since nobody asks before the last answer has come.
KIND = socket.SOCK_SEQPACKET if sys.platform.startswith("linux") else socket.SOCK_STREAM
LOOK_S = 1.0  # how often it looks whether its folder is still there
FIRST_S = 30.0  # how long it waits for the supervisor that started it
MOST_DESCRIPTORS = 16
MANY = 50  # nodes, from which on less memory for each is worth a slower start
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_LOOKS_FIRST = hasattr(os, "waitid")
_TRUNCATED = socket.MSG_TRUNC | socket.MSG_CTRUNC


_Identity: TypeAlias = tuple[int, int, int]


class _Child(NamedTuple):
    instance: str
    life: int


class Nursery:
    """Serves spawn requests and reaps, in one loop."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._children: dict[int, _Child] = {}
        self._connections: set[socket.socket] = set()
        self._leaving = False
        self._epoch: Epoch | None = None
        self._epoch_id: _Identity | None = None
        self._listener = socket.socket(socket.AF_UNIX, KIND)
        run.nursery.unlink(missing_ok=True)
        self._listener.bind(str(run.nursery))
        self._listener.listen()
        self._id = _identity(run.nursery)
        self._woken, self._waker = socket.socketpair()
        for end in (self._listener, self._woken, self._waker):
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until nobody needs it any more."""
        patient_until_s = time.monotonic() + FIRST_S
        while not self._leaving and self._in_place:
            for key, _ in self._selector.select(LOOK_S):
                self._ready(key.fileobj)
            self._reap()
            if self._children or self._connections:
                patient_until_s = 0.0
            elif time.monotonic() >= patient_until_s and not self._may_be_taken_over():
                break
        if self._leaving:
            self._end_all()
        elif self._in_place:
            self._run.vacate()

    def _may_be_taken_over(self) -> bool:
        """True while a run whose processes have all died can go on, as soon as there is a supervisor again."""
        epoch = self._read_epoch()
        return epoch is not None and self._run.died_lately(epoch.plan.orphan_after_s)

    @property
    def _in_place(self) -> bool:
        """False when the run is over, or another nursery has taken over."""
        return _identity(self._run.nursery) == self._id

    def _ready(self, source: object) -> None:
        if source is self._listener:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._connections.add(connection)
                self._selector.register(connection, selectors.EVENT_READ)
        elif source is self._woken:
            with contextlib.suppress(BlockingIOError):
                while self._woken.recv(4096):
                    pass
        elif isinstance(source, socket.socket) and source in self._connections:
            self._receive(source)

    # ---------------------------------------------------------------- requests

    def _receive(self, connection: socket.socket) -> None:
        try:
            data, descriptors, flags, _ = socket.recv_fds(connection, REQUEST_BYTES, MOST_DESCRIPTORS, _CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors, flags = b"", [], 0
        try:
            if data:
                connection.send(encode(self._answer(data, descriptors, bool(flags & _TRUNCATED))))
            else:
                self._drop(connection)
        except OSError:  # it is gone, or takes no answers
            self._drop(connection)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _drop(self, connection: socket.socket) -> None:
        self._connections.discard(connection)
        self._selector.unregister(connection)
        connection.close()

    def _answer(self, data: bytes, descriptors: list[int], truncated: bool) -> FromNursery:
        try:
            request = to_nursery.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refused(f"not a request: {error}")
        if isinstance(request, Leave):
            self._leaving = True
            return Refused("leaving")
        if truncated or len(descriptors) != 2 or not _safe(request.instance) or request.life < 0:
            return Refused("not a request: it takes the name of an instance and two descriptors")
        if not _settable(request.environment):
            return Refused("not a request: no process can have such an environment")
        if not self._in_place:  # it was stopped for so long that there is another by now, which has been asked the same
            return Refused("another nursery has taken over")
        self._reap()
        for pid, child in self._children.items():
            if child == _Child(request.instance, request.life):  # for a supervisor that was killed before it heard so
                process = process_of(pid)
                return Spawned(pid, process.started if process is not None else -1)
        try:
            return self._spawn(request, descriptors[0], descriptors[1])
        except OSError as error:
            return Refused(f"cannot be started: {error.strerror}")

    def _spawn(self, request: SpawnChild, stdout: int, stderr: int) -> FromNursery:
        self._run.exit_file(request.instance, request.life).unlink(missing_ok=True)
        epoch = None if request.command else self._read_epoch()
        go_read, go = os.pipe()
        problem, problem_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.close(problem)
            os.setsid()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(stdout)
            os.close(stderr)
            self._close()
            become(request, self._run.path, epoch, go_read, problem_write)
        os.close(go_read)
        os.close(problem_write)
        try:
            self._run.register(request.instance, pid, request.life, request.fallback)
            self._children[pid] = _Child(request.instance, request.life)
            process = process_of(pid)
            os.write(go, b"\0")
            if request.command or request.cpus is not None or request.nice or request.cwd:
                told = _read_all(problem)
                if told:
                    del self._children[pid]
                    os.waitpid(pid, 0)
                    return Refused(told.decode(errors="replace"))
        finally:
            os.close(go)
            os.close(problem)
        return Spawned(pid, process.started if process is not None else -1)

    def _read_epoch(self) -> Epoch | None:
        """Read once for all children, unless it is another by now; what a child cannot have from here it reads itself."""
        identity = _identity(self._run.path / EPOCH)
        if identity != self._epoch_id:
            try:
                self._epoch = self._run.read_epoch()
            except (OSError, msgspec.DecodeError):
                return None
            self._epoch.prepare()
            self._epoch_id = identity
            settle()
        return self._epoch

    def _close(self) -> None:
        """In a child: let go of all that is ours."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for one in (*self._connections, self._listener, self._woken, self._waker):
            one.close()

    # ---------------------------------------------------------------- ends

    def _reap(self) -> None:
        """Write down how each dead child ended, and only then let its id go: who sees it gone finds the code."""
        while (dead := _dead_child()) is not None:
            pid, code = dead
            child = self._children.pop(pid, None)
            if child is not None and self._in_place:
                self._run.note_exit(child.instance, child.life, code)
            if _LOOKS_FIRST:
                os.waitpid(pid, 0)

    def _end_all(self) -> None:
        for pid in self._children:
            _kill_group(pid)
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so it is still itself
        for pid in self._children:
            os.waitpid(pid, 0)


def _dead_child() -> tuple[int, int] | None:
    """A child that has died: (process id, exit code). What it may have started itself is killed.

    Where that can be, it is not reaped yet, so that its id is nobody else's.
    """
    try:
        if _LOOKS_FIRST:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return None
            _kill_group(dead.si_pid)
            return dead.si_pid, dead.si_status if dead.si_code == os.CLD_EXITED else -dead.si_status
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        _kill_group(pid)
    except ChildProcessError:
        return None
    return pid, os.waitstatus_to_exitcode(status)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _safe(instance: str) -> bool:
    return bool(instance) and instance.isprintable() and "/" not in instance and not instance.startswith(".")


def _settable(environment: Mapping[str, str]) -> bool:
    return all(name and "=" not in name and "\0" not in name + value for name, value in environment.items())


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _read_all(descriptor: int) -> bytes:
    told = b""
    while part := os.read(descriptor, 4096):
        told += part
    return told


def _preload(many: bool) -> None:
    """What all workers need. No module of a node: it may start threads, and its author edits it while the graph runs.

    :param many: nodes, so that less memory for each is worth a start that takes 0.05 s longer.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a pool per process would fight over the cores, and no thread forks
    import graph.worker  # noqa: F401
    from graph.launchers.rehearsal import rehearse
    from graph.node import Node, NodeConfig

    with contextlib.suppress(ImportError):
        import numpy  # noqa: F401
    ran = rehearse() if many else frozenset[int]  # on another core, meanwhile
    NodeConfig()  # pydantic finishes its first model when it is used
    logs.prepare()
    arguments_at()
    host_id()
    partitions_of_replica(0, 1)  # of a node that is not replicated, as most
    Node.inputs()  # finds the ports of the class that all others have
    if many:
        fill_holes()
        gather(ran())
    settle()
    fill_holes()


def _has_many(run: RunDir) -> bool:
    try:
        return len(run.read_plan().instances) >= MANY
    except (OSError, msgspec.DecodeError):  # whoever asks for a node will be told
        return False


def main(run_dir: Path) -> None:
    """Be the nursery of the run in this folder."""
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    gc.disable()
    run = RunDir(run_dir)
    _preload(_has_many(run))
    Nursery(run).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    os._exit(0)  # the supervisor waits for that, and there is nothing to tidy up
