"""One run: one arm carries the messages of one cell once."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.transport import processes
from bench.transport.arms.base import Arm
from bench.transport.cells import Cell
from bench.transport.ends import DESK, Task
from bench.transport.figures import Run, run_of

START_WITHIN_S = 20  # until the last sink has heard the first warm-up message
CARRY_WITHIN_S = 40  # for the counted messages; an arm that takes longer cannot carry the cell
LEAVE_WITHIN_S = 5  # for the processes to end by themselves when all is over
LOOK_EVERY_S = 0.5  # whether a process has died


class RunFailed(Exception):
    """An arm did not carry a cell; the message is one line that says why."""


def carry(arm: Arm, cell: Cell, round_number: int) -> Run:
    """Start the arm's processes, let them carry the cell, and end them."""
    # Short and in /tmp: sockets lie in it, whose paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vgb-", dir="/tmp") as made:
        run = Path(made)
        port = _free_port()
        task = Task(cell.size, cell.rate, cell.count, cell.hops, cell.sinks, port)
        task.save(run)
        try:
            with _Desk(run, cell) as desk, _started(arm, run, task) as roots:
                return desk.see_through(arm.name, roots, round_number)
        except RunFailed as failure:
            return Run(arm.name, cell, round_number, failed=str(failure))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _started(arm: Arm, run: Path, task: Task) -> Iterator[list[subprocess.Popen[bytes]]]:
    roots: list[subprocess.Popen[bytes]] = []
    try:
        with (run / "log").open("wb") as log:
            for command in arm.commands(run, task):
                roots.append(
                    subprocess.Popen(
                        command,
                        cwd=arm.folder(run),
                        env=arm.environment(run, task),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        yield roots
        if arm.ends_itself:
            deadline_s = time.monotonic() + LEAVE_WITHIN_S
            for root in roots:
                try:
                    root.wait(max(0.0, deadline_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    print(f"{arm.name}: did not end by itself in {LEAVE_WITHIN_S} s", file=sys.stderr)
    finally:
        processes.end(run, [root.pid for root in roots if root.poll() is None])
        for root in roots:
            root.wait()


@dataclass
class _Word:
    sender: str
    words: list[str]


class _Desk:
    """Where the ends of a run report; see bench.transport.ends for what they say."""

    def __init__(self, run: Path, cell: Cell) -> None:
        self._run = run
        self._cell = cell
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(run / DESK))
        self._socket.settimeout(LOOK_EVERY_S)
        self._roots: list[subprocess.Popen[bytes]] = []
        self._sent_ns: list[int] = []
        self._last_ns: dict[str, int] = {}

    def __enter__(self) -> _Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def see_through(self, arm: str, roots: list[subprocess.Popen[bytes]], round_number: int) -> Run:
        """The run from the first warm-up message to the last note written."""
        self._roots = roots
        sinks = [f"sink{n}.line" for n in range(self._cell.sinks)]
        self._gather("ready", sinks, START_WITHIN_S, "no message came through")
        self._answer("source", "ready")
        self._gather("warm", ["source"], START_WITHIN_S, "the source did not warm up")
        before = processes.read_cpu(self._taking_part())
        self._answer("source", "go")
        self._gather("done", sinks, CARRY_WITHIN_S, "too slow for this cell")
        everybody = self._taking_part()
        after = processes.read_cpu(everybody)
        memory = processes.memory_bytes(everybody)
        for sink in sinks:
            self._answer(sink, "save")
        self._gather("saved", sinks, START_WITHIN_S, "the notes were not written")
        if not self._sent_ns:  # a source may still be busy telling a listener that has all it wants
            self._gather("sent", ["source"], START_WITHIN_S, "the source did not end")
        with suppress(RunFailed):  # one that saw its sinks leave has left too
            self._answer("source", "stop")
        return run_of(
            arm,
            self._cell,
            round_number,
            numbers=[self._notes(n, "numbers") for n in range(self._cell.sinks)],
            latencies_ns=[self._notes(n, "latencies") for n in range(self._cell.sinks)],
            carried_ns=max(self._last_ns.values()) - self._sent_ns[0],
            cpu_ns=after.since(before),
            memory_bytes=memory,
            processes=len(everybody),
        )

    def _taking_part(self) -> list[psutil.Process]:
        return processes.taking_part(self._run, [root.pid for root in self._roots])

    def _notes(self, sink: int, what: str) -> array[int]:
        notes = array("q")
        notes.frombytes((self._run / f"sink{sink}.{what}").read_bytes())
        return notes

    def _answer(self, end: str, word: str) -> None:
        try:
            self._socket.sendto(word.encode(), str(self._run / end))
        except OSError as error:
            raise RunFailed(f"{end} is gone: {self._last_words()}") from error

    def _gather(self, word: str, ends: list[str], within_s: float, otherwise: str) -> None:
        """Wait until each of the ends has said a word."""
        waiting = set(ends)
        deadline_s = time.monotonic() + within_s
        while waiting:
            if time.monotonic() > deadline_s:
                raise RunFailed(f"{otherwise} within {within_s} s")
            said = self._hear()
            if said is None:
                continue
            if said.words[0] == "sent":
                self._sent_ns = [int(ns) for ns in said.words[1:]]
            elif said.words[0] == "done":
                self._last_ns[said.sender] = int(said.words[1])
            if said.words[0] == word:
                waiting.discard(said.sender)

    def _hear(self) -> _Word | None:
        try:
            data, sender = self._socket.recvfrom(200)
        except TimeoutError:
            for root in self._roots:
                if root.poll() is not None:
                    raise RunFailed(f"ended with exit code {root.returncode}: {self._last_words()}") from None
            return None
        return _Word(Path(sender).name, data.decode().split())

    def _last_words(self) -> str:
        log = self._run / "log"
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it said nothing"
