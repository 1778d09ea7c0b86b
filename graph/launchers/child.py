"""Between fork and the node's own code: what makes of a copy of the nursery a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import gc
import os
import signal
import sys
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path
from typing import NoReturn

from graph.epoch import Epoch
from graph.launchers.requests import SpawnChild

_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # looked up before the fork
_PR_SET_NAME = 15  # linux/prctl.h
_NAME_BYTES = 15  # of a process, as top(1) shows it
_NOT_STARTED = 126  # the exit code that shells give to what cannot be executed
_ARG_START, _ARG_END = 47, 48  # fields of proc(5) stat, counted from 0
_AUTOGROUP = Path("/proc/self/autogroup")
_TRY_S, _TRIES = 0.03, 100


def become(request: SpawnChild, run_dir: Path, epoch: Epoch | None, go: int, problem: int) -> NoReturn:
    """Be the node that was asked for. What cannot be done is written to `problem`, which is closed when all went well.

    Nothing is done before a byte has come through `go`: a nursery that dies before it has noted us down takes us along.
    Descriptors 0 to 2 are the node's already, and the nursery's own are closed.
    """
    code = _NOT_STARTED
    try:
        if not os.read(go, 1):
            os._exit(code)
        os.close(go)
        take_signals()
        for name, value in request.environment.items():  # `update` would go through abstract base classes
            os.environ[name] = value
        try:
            _settle(request)
            if request.command:
                _execute(request.command)
        except (_Problem, OSError, ValueError) as error:
            os.write(problem, str(error).encode(errors="replace"))
            os._exit(code)
        os.close(problem)
        code = work(request, run_dir, epoch)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class _Problem(Exception):
    """The text is for the user."""


def take_signals() -> None:
    """As a fresh interpreter has them: what is ignored here would stay so in a program that is executed."""
    signal.set_wakeup_fd(-1)
    for one in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
        signal.signal(one, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _settle(request: SpawnChild) -> None:
    try:
        if request.cwd:
            os.chdir(request.cwd)
    except OSError as error:
        raise _Problem(f"resources.cwd '{request.cwd}': {(error.strerror or '').lower()}") from error
    if request.cpus is not None:
        _bind(request.cpus)
    if request.nice:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, request.nice)
        except OSError as error:
            lowest = os.getpriority(os.PRIO_PROCESS, 0)
            raise _Problem(f"resources.nice {request.nice}: below {lowest} takes privileges (CAP_SYS_NICE)") from error
        _weigh(request.nice)


def _weigh(nice: int) -> None:
    """Where Linux groups processes by session (sched(7), "The autogroup feature"), `nice` holds within a session only, and
    each node is one of its own: the group must be given the value, too."""
    for _ in range(_TRIES):
        try:
            _AUTOGROUP.write_text(str(nice))
        except BlockingIOError:  # who has no privileges may write only every 0.1 s, all of them together
            time.sleep(_TRY_S)
        except OSError:  # there are no such groups
            return
        else:
            return


def _bind(cpus: tuple[int, ...]) -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise _Problem(f"resources.cpus {list(cpus)}: this system binds no process to processors")
    there = os.cpu_count() or 1
    try:
        os.sched_setaffinity(0, cpus)
        if os.sched_getaffinity(0) == set(cpus):
            return  # the kernel leaves out those that do not exist, as long as one does
    except (OSError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.EPERM):
            raise
    missing = [cpu for cpu in cpus if cpu >= there]
    if missing:
        raise _Problem(f"resources.cpus {missing}: this machine has {_span(there)}")
    raise _Problem(f"resources.cpus {list(cpus)}: not all of them may be used here (cpuset)")


def _span(count: int) -> str:
    return "0" if count == 1 else f"0-{count - 1}"


def _execute(command: tuple[str, ...]) -> NoReturn:
    for one in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them
        signal.signal(getattr(signal, one), signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), os.environ)
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise _Problem(f"'{command[0]}' cannot be executed: {told}") from error


def work(request: SpawnChild, run_dir: Path, epoch: Epoch | None) -> int:
    """Be the node; returns its exit code."""
    from graph.worker import main

    arguments = [str(run_dir), request.instance, str(request.life), *(["fallback"] if request.fallback else [])]
    sys.argv = ["graph.worker", *arguments]
    _name(request.instance, " ".join(sys.argv))
    faulthandler.enable()
    tempfile.tempdir = None  # TMPDIR is another now
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    gc.enable()
    return main(run_dir, request.instance, request.life, request.fallback, epoch)


def _name(name: str, title: str) -> None:
    """What top(1) and ps(1) show: the name of the instance, and the command line that a spawned worker would have."""
    if _prctl is not None:
        _prctl(_PR_SET_NAME, name.encode()[:_NAME_BYTES], 0, 0, 0)
    start, end = arguments_at()
    written = title.encode()
    if 0 < len(written) < end - start - 1:
        # A last byte that is not zero tells the kernel that what is shown ends at the first zero.
        ctypes.memmove(start, written.ljust(end - start - 1, b"\0") + b" ", end - start)


@cache
def arguments_at() -> tuple[int, int]:
    """Where this process has its command line, as its children will; (0, 0) where nobody says."""
    if not sys.platform.startswith("linux"):
        return 0, 0
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[_ARG_START - 2]), int(fields[_ARG_END - 2])
