"""The launcher's end of the nursery: starts it where there is none, asks it, makes it leave."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from graph.errors import NodeError
from graph.launchers.nursery import KIND
from graph.launchers.requests import (
    REQUEST_BYTES,
    FromNursery,
    Leave,
    Refused,
    SpawnChild,
    Spawned,
    ToNursery,
    encode,
    from_nursery,
)
from graph.rundir import RunDir

START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 20.0
LEAVE_WITHIN_S = 5.0
LOOK_S = 0.005
LOG = "nursery.log"  # what it printed, which is why it could not start


class NurseryClient:
    """One supervisor's connection to the nursery of its run; starts a new one when it was killed."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._process: subprocess.Popen[bytes] | None = None  # when it is our own child
        self._connection = self._connect()
        if self._connection is None:
            self._begin()

    @property
    def pid(self) -> int:
        """The process at the other end; 0 when there is none."""
        return _peer(self._connection) if self._connection is not None else 0

    @property
    def alive(self) -> bool:
        """True as long as it holds the connection."""
        if self._connection is None:
            return False
        poll = select.poll()
        poll.register(self._connection, 0)  # only its end is of interest
        return not poll.poll(0)

    def spawn(self, request: SpawnChild, stdout: int, stderr: int) -> Spawned:
        """Have a process started.

        :raises NodeError: it cannot be, or there is no nursery to be had.
        """
        for again in (True, False):
            connection = self._connection or self._begun()
            try:
                answer = self._ask(connection, request, [stdout, stderr])
            except (OSError, EOFError, msgspec.DecodeError) as error:
                if isinstance(error, OSError) and len(encode(request)) > REQUEST_BYTES:
                    raise NodeError("its command and environment are too long to be passed on") from error
                self._drop()
                left = self._run.alive().get(request.instance)
                if left is not None and left.life == request.life:
                    return Spawned(left.pid, left.started)  # its last act
                if not again:
                    raise NodeError(f"the process that starts the nodes does not answer: {error}") from error
                continue
            if isinstance(answer, Refused):
                raise NodeError(answer.text)
            return answer
        raise AssertionError("unreachable")

    def leave(self) -> None:
        """End it at once, and whom it has started."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError, EOFError, msgspec.DecodeError):
                connection.settimeout(LEAVE_WITHIN_S)
                self._ask(connection, Leave(), [])
                while connection.recv(REQUEST_BYTES):
                    pass
        self._drop()

    # ---------------------------------------------------------------- inside

    def _ask(self, connection: socket.socket, request: ToNursery, descriptors: list[int]) -> FromNursery:
        socket.send_fds(connection, [encode(request)], descriptors)
        answer = connection.recv(REQUEST_BYTES)
        if not answer:
            raise EOFError("it is gone")
        decoded: FromNursery = from_nursery.decode(answer)
        return decoded

    def _connect(self) -> socket.socket | None:
        made = socket.socket(socket.AF_UNIX, KIND)
        made.settimeout(ANSWER_WITHIN_S)
        try:
            made.connect(str(self._run.nursery))
        except OSError:
            made.close()
            return None
        return made

    def _begin(self) -> None:
        log = self._run.path / LOG
        with log.open("wb") as printed:
            self._process = subprocess.Popen(
                # -u, so that what a forked node prints is in its log at once
                [sys.executable, "-u", "-P", "-m", "graph.launchers.nursery", str(self._run.path)],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def _begun(self) -> socket.socket:
        """Wait until it takes connections.

        :raises NodeError: it does not start.
        """
        if self._process is None:
            self._connection = self._connect()  # it may have let go of us
            if self._connection is not None:
                return self._connection
            self._begin()
        deadline_s = time.monotonic() + START_WITHIN_S
        while self._process is not None and time.monotonic() < deadline_s:
            self._connection = self._connect()
            if self._connection is not None:
                return self._connection
            if self._process.poll() is not None:
                self._process = None
            time.sleep(LOOK_S)
        self._drop()
        raise NodeError(f"the process that starts the nodes cannot be started: {_last_line(self._run.path / LOG)}")

    def _drop(self) -> None:
        """Let go of one that is gone, or is to go: who does not answer is killed. Its children live on."""
        if self._connection is not None:
            if self.alive and self.pid:  # it holds the connection, so its id is its own
                with contextlib.suppress(OSError):
                    os.kill(self.pid, signal.SIGKILL)
            self._connection.close()
            self._connection = None
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
            self._process.wait()
            self._process = None


def _peer(connection: socket.socket) -> int:
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", told)[0])


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line for line in reversed(lines) if line.strip()), "it says nothing")
