"""The two ends of every arm: what is sent when, and what is noted down on arrival.

Standard library only and the same code for all arms, because peers run it in environments of their own. What the ends have to
tell the bench goes over a datagram socket beside the transport under test, so no transport is helped or hurt by it:

    sink    ready -> bench                     the first warm-up message is there
    source  warm  -> bench, go <- bench        the bench reads everybody's CPU clock before it answers
    sink    done  -> bench, save <- bench      it has the last message; the clocks are read again
    source  sent  -> bench, stop <- bench      until then it repeats the end, which a lossy transport may lose
"""

from __future__ import annotations

import json
import os
import socket
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WARM, COUNTED, END, WAIT = range(4)  # phases of a run; WAIT sends nothing

WARM_UP = 20  # messages before the first that counts, at least
WARM_EVERY_NS = 20_000_000
SETTLE_NS = 300_000_000  # from the last warm-up message to the first that counts: nothing of it is under way any more
END_EVERY_NS = 50_000_000

FOLDER_VARIABLE = "VOICEGRAPH_BENCH_RUN"  # also how the bench recognises the processes of a run
DESK = "desk"  # the bench's socket in the folder of a run

now_ns = time.monotonic_ns  # CLOCK_MONOTONIC: the same clock in every process


@dataclass(frozen=True)
class Task:
    """What one run of one arm has to do."""

    size: int  # bytes of payload
    rate: int  # messages per second; 0: as fast as the transport takes them
    count: int
    hops: int = 1
    sinks: int = 1
    port: int = 0  # of the broker, where an arm has one

    def save(self, folder: Path) -> None:
        (folder / "task.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Task:
        return cls(**json.loads((folder / "task.json").read_text()))

    @property
    def payload(self) -> bytes:
        """What every message carries: nothing that compresses."""
        return os.urandom(self.size)


def folder() -> Path:
    """The folder of the run that this process takes part in."""
    return Path(os.environ[FOLDER_VARIABLE])


class Line:
    """The way from one end to the bench: datagrams on a Unix socket, which are neither lost nor reordered."""

    def __init__(self, run: Path, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(run / name))
        self._socket.connect(str(run / DESK))

    def say(self, *words: object) -> None:
        self._socket.send(" ".join(map(str, words)).encode())

    def wait(self, word: str) -> None:
        self._socket.setblocking(True)
        while self._socket.recv(100).decode() != word:
            pass

    def heard(self, word: str) -> bool:
        self._socket.setblocking(False)
        try:
            return self._socket.recv(100).decode() == word
        except BlockingIOError:
            return False


class Source:
    """The sending end: tells what to send and when; how it waits and sends is the arm's."""

    def __init__(self, run: Path) -> None:
        self.task = Task.load(run)
        self._line = Line(run, "source")

    def steps(self) -> Iterator[tuple[int, int, int]]:
        """(when in monotonic ns, phase, sequence number), to be sent not before that time; 0 is at once.

        Counted messages of a rate have their times from the first one, so a late one does not move the others.
        """
        number, ready = 0, False
        while not ready or number < WARM_UP:
            yield now_ns() + WARM_EVERY_NS, WARM, number
            number += 1
            ready = ready or self._line.heard("ready")
        yield now_ns() + SETTLE_NS, WAIT, 0
        self._line.say("warm")
        self._line.wait("go")
        began_ns = now_ns()
        if self.task.rate:
            period_ns = 1_000_000_000 // self.task.rate
            for number in range(self.task.count):
                yield began_ns + number * period_ns, COUNTED, number
        else:
            for number in range(self.task.count):
                yield 0, COUNTED, number
        self._line.say("sent", began_ns, now_ns())
        yield 0, END, 0
        while not self._line.heard("stop"):
            yield now_ns() + END_EVERY_NS, END, 0


def send_all(source: Source, send: Callable[[int, int, int], object]) -> None:
    """The loop of a source that may block: `send(phase, number, sent_ns)`."""
    for at_ns, phase, number in source.steps():
        ahead_ns = at_ns - now_ns()
        if ahead_ns > 0:
            time.sleep(ahead_ns / 1e9)
        if phase != WAIT:
            send(phase, number, now_ns())


class Sink:
    """The receiving end: notes each message down in memory and writes the notes when all is over."""

    def __init__(self, run: Path, number: int = 0) -> None:
        self._task = Task.load(run)
        self._file = run / f"sink{number}"
        self._line = Line(run, f"{self._file.name}.line")
        self._numbers = array("q")
        self._latencies_ns = array("q")
        self._last_ns = 0
        self._ready = False
        self.over = False

    def take(self, phase: int, number: int, sent_ns: int, payload: Sequence[int] | Any) -> bool:
        """A message is there; its payload is touched, lest it was only promised. True: it was the last."""
        payload[0], payload[-1]
        at_ns = now_ns()
        if phase == COUNTED:
            self._numbers.append(number)
            self._latencies_ns.append(at_ns - sent_ns)
            self._last_ns = at_ns
            if number == self._task.count - 1 and len(self._numbers) == self._task.count:
                self._finish(len(payload))
        elif self.over:
            pass
        elif phase == END:
            self._finish(len(payload))
        elif not self._ready:
            self._ready = True
            self._line.say("ready")
        return self.over

    def _finish(self, length: int) -> None:
        if length != self._task.size:
            raise ValueError(f"the payload has {length} bytes, sent were {self._task.size}")
        self.over = True
        self._line.say("done", self._last_ns)
        self._line.wait("save")
        self._file.with_suffix(".numbers").write_bytes(self._numbers.tobytes())
        self._file.with_suffix(".latencies").write_bytes(self._latencies_ns.tobytes())
        self._line.say("saved")
