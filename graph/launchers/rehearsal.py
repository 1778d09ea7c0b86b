"""Which functions does a node run? A child of the nursery is one for 30 ms, before there is any other, and tells.

With that `heap.gather` puts together what all nodes will use. It is found out and not written down, because it changes with
every edit of the engine, with pyzmq, and with Python itself.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, NoReturn

import zmq

from graph.control import ControlServer, Heard, Stop
from graph.epoch import Epoch
from graph.launchers.child import take_signals, work
from graph.launchers.requests import SpawnChild
from graph.message import Mark, Message
from graph.node import Input, Node, Output, Step
from graph.plan import Edge, Instance, Plan, PlannedNode
from graph.rundir import RunDir

_NAME = "rehearsal"
_HELLO_MS = 1000  # until the control thread has connected; it takes 5
_WITHIN_S = 5  # or it is killed, and the nursery goes on without


def rehearse() -> Callable[[], frozenset[int]]:
    """Begin; what is returned waits for the end, and gives the ids of the code that ran. None ran where it could not be done:
    that costs memory, and nothing else."""
    read, write = os.pipe()
    try:
        pid = os.fork()
    except OSError:  # no process is left: who asks for a node is told
        os.close(read)
        os.close(write)
        return frozenset
    if pid == 0:
        _play(write)
    os.close(write)

    def ran() -> frozenset[int]:
        with os.fdopen(read, "rb") as told:
            ids = array("Q", told.read())
        os.waitpid(pid, 0)
        return frozenset(ids)

    return ran


def _play(write: int) -> NoReturn:
    """In the child, so that the nursery never has a thread or a ZeroMQ context. What goes wrong here is nobody's concern."""
    try:
        signal.alarm(_WITHIN_S)  # its default action ends a process
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(nowhere, descriptor)
        with tempfile.TemporaryDirectory(prefix="vg-") as folder:
            ran = _ran(Path(folder))
        with os.fdopen(write, "wb") as told:
            told.write(array("Q", ran))
    finally:
        os._exit(0)


def _ran(folder: Path) -> set[int]:
    ran: set[int] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            ran.add(id(frame.f_code))

    run = RunDir(folder)
    run.rings.mkdir()  # not in shared memory: nobody would clear it away after one that was killed
    context: zmq.Context[Any] = zmq.Context()
    Echo.supervisor = ControlServer(context, run.control)
    threading.setprofile(note)
    sys.setprofile(note)
    take_signals()
    work(SpawnChild(_NAME, 0, (), {}), run.path, _epoch(folder))
    sys.setprofile(None)
    Echo.supervisor.close()
    context.term()
    return ran


def _epoch(folder: Path) -> Epoch:
    target = f"{__name__}:{Echo.__name__}"
    node = PlannedNode(_NAME, target, target, {}, (_NAME,))
    instance = Instance(_NAME, _NAME, out=f"ipc://{{run}}/{_NAME}.out")
    return Epoch(0, Plan(_NAME, str(folder / _NAME), (node,), (instance,), (Edge(_NAME, "out", _NAME, "x"),)))


class Echo(Node):
    """Hears itself once, and then, of the supervisor that it is as well, that it is to stop."""

    supervisor: ClassVar[ControlServer]
    due_ns = 1  # at once

    x = Input(Mark)
    out = Output(Mark)

    def on_due(self) -> Iterator[Step]:
        yield self.out(Mark(_NAME, 0))

    def on_x(self, message: Message[Mark]) -> None:
        self.supervisor.socket.poll(_HELLO_MS)
        for answer in (Heard(), Stop()):
            self.supervisor.send(_NAME, answer)
