"""The control plane: what the supervisor and its nodes tell each other. No data of the graph ever passes here.

A node talks through a thread of its own, so it is heard while its handler sits deep in inference.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeAlias

import msgspec
import zmq

from graph.handover import HandedOver, HandOver, Replan, Replanned, TakenOver, TakeOver
from graph.links.base import HANDFUL, readable
from graph.links.counts import EdgeStatistics, LaneCounts
from graph.message import DEFAULT_SESSION, UNREADABLE, Mark, now_ns

BEAT_MS = 500
CONTROL_BYTES = 2**24  # a frame that claims to be longer ends its connection; a beat with a second's marks has a hundredth
LINGER_MS = 500  # how long a leaving node tries to get its last words out


class TurnMark(msgspec.Struct):
    """A mark with the turn it belongs to, as the run's report keeps it."""

    mark: Mark
    instance: str
    session: str = DEFAULT_SESSION
    turn: int = 0
    revision: int = 0


# from a node to the supervisor
class Hello(msgspec.Struct, tag="hello"):
    pid: int


class Status(msgspec.Struct, tag="status"):
    """What the node is busy with before it is ready, e.g. "loading whisper-base"."""

    text: str


class Warned(msgspec.Struct, tag="warned"):
    text: str


class Loaded(msgspec.Struct, tag="loaded"):
    """Set up; it waits for its neighbours now."""


class Ready(msgspec.Struct, tag="ready"):
    """Set up, and every link of it stands at both ends."""


Course: TypeAlias = Literal["starting", "loaded", "ready", "running", "ending", "drained"]


class Beat(msgspec.Struct, tag="beat"):
    """Alive; with how far it is, what was counted so far and the marks since the last beat."""

    sent: dict[str, int] = {}  # by output port, streams
    edges: dict[str, EdgeStatistics] = {}  # by edge id: this instance's end of it
    marks: list[TurnMark] = []
    life: int = -1  # -1: it does not say
    course: Course = "running"
    draining: bool = False  # it was asked to drain
    busy_ms: int = 0  # how long its handler has been at work without a step; 0: it waits
    heard: dict[str, int] = {}  # by `<node>.<port>`: what was sent on streams since it listens to them
    resting: bool = False  # it finishes its turn, and is to be started again then


class Ending(msgspec.Struct, tag="ending"):
    """All inputs have ended, or it was asked to drain: what it has said waits for its takers."""


class Drained(msgspec.Struct, tag="drained"):
    """All inputs have ended and everything has been said."""


class Failed(msgspec.Struct, tag="failed"):
    """The node cannot go on; the text is for the user."""

    text: str


# from the supervisor to a node
class Heard(msgspec.Struct, tag="heard"):
    """Answer to a beat: the supervisor is there."""


class Start(msgspec.Struct, tag="start"):
    """Every node is ready: sources may begin."""


class Drain(msgspec.Struct, tag="drain"):
    """Sources end now; what is on its way is finished."""


class Stop(msgspec.Struct, tag="stop", omit_defaults=True):
    """Leave, cleanly."""

    gently: bool = False  # between two turns, and leave what is known of sessions to the next life; else now


class Gone(msgspec.Struct, tag="gone"):
    """Another instance died: what its counters, which outlived it, say."""

    instance: str
    life: int = 0
    sent: dict[str, int] = {}  # by topic
    lanes: dict[str, dict[str, LaneCounts]] = {}  # by edge it took from, and producer; empty where nothing is known


class Absent(msgspec.Struct, tag="absent"):
    """Another instance is not there and nobody waits for it: it has failed, or was stopped."""

    instance: str
    final: bool = False  # nor will it come back: what comes from it has ended


class Expected(msgspec.Struct, tag="expected"):
    """An instance that was absent is started again."""

    instance: str


FromNode: TypeAlias = (
    Hello | Status | Warned | Loaded | Ready | Beat | Ending | Drained | Failed | Replanned | HandedOver | TakenOver
)
ToNode: TypeAlias = Heard | Start | Drain | Stop | Gone | Absent | Expected | Replan | HandOver | TakeOver

_encode = msgspec.msgpack.Encoder().encode
_from_node = msgspec.msgpack.Decoder(FromNode)
_to_node = msgspec.msgpack.Decoder(ToNode)


class ControlServer:
    """The supervisor's end: one ROUTER that all nodes connect to."""

    def __init__(self, context: zmq.Context[Any], endpoint: str) -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, CONTROL_BYTES)
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a new life of an instance may come before the old one's end is seen
        self.socket.bind(endpoint)

    def receive(self) -> Iterator[tuple[str, FromNode]]:
        """(instance, message) of all that has come; what cannot be read changes nothing."""
        for _ in range(HANDFUL):
            if not readable(self.socket):
                return
            frames = self.socket.recv_multipart()
            try:
                yield frames[0].decode(), _from_node.decode(frames[-1])
            except UNREADABLE:
                continue

    def send(self, instance: str, message: ToNode) -> None:
        """Tell one node; a node that is not connected misses it, as a ROUTER does."""
        self.socket.send_multipart((instance.encode(), _encode(message)))

    def close(self) -> None:
        self.socket.close(0)


class ControlClient:
    """A node's end: a thread that beats, passes commands on, and notices when the supervisor is gone.

    Commands are read from `commands`; `wake` is a descriptor that becomes readable when there is one. When nothing was
    heard for `orphan_after_s` after a beat, a `Drain` is passed on; `orphaned` tells why. If the node is still there
    `drain_within_s` later, `abandon` is called from the thread: it must end the process.
    """

    def __init__(
        self,
        endpoint: str,
        instance: str,
        beat: Callable[[], Beat],
        abandon: Callable[[], None],
        orphan_after_s: float,
        drain_within_s: float,
    ) -> None:
        self.commands: SimpleQueue[ToNode] = SimpleQueue()
        self.orphaned = False
        self.wake, self._waker = socket.socketpair()
        self._outbox: SimpleQueue[FromNode] = SimpleQueue()
        self._nudged, self._nudger = socket.socketpair()
        for end in (self.wake, self._waker, self._nudged, self._nudger):
            end.setblocking(False)
        self._endpoint, self._instance = endpoint, instance
        self._beat, self._abandon = beat, abandon
        self._orphan_after_ns = int(orphan_after_s * 1e9)
        self._drain_within_ns = int(drain_within_s * 1e9)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def send(self, message: FromNode) -> None:
        """Tell the supervisor; from any thread."""
        self._outbox.put(message)
        _poke(self._nudger)

    def command(self, message: ToNode) -> None:
        """Hand a command to the node's own loop, as if the supervisor had sent it."""
        self.commands.put(message)
        _poke(self._waker)

    def taken(self) -> Iterator[ToNode]:
        """The commands that wait, and the wake-up cleared."""
        _clear(self.wake)
        while True:
            try:
                yield self.commands.get_nowait()
            except Empty:
                return

    def close(self) -> None:
        """Send what waits and end the thread."""
        self._closing.set()
        _poke(self._nudger)
        self._thread.join(timeout=2)

    def _run(self) -> None:
        context: zmq.Context[Any] = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.IDENTITY, self._instance.encode())
        dealer.setsockopt(zmq.LINGER, LINGER_MS)
        dealer.setsockopt(zmq.RECONNECT_IVL, 10)
        dealer.setsockopt(zmq.IMMEDIATE, 1)  # no stale beats piled up for a supervisor that is gone
        dealer.connect(self._endpoint)
        poller = zmq.Poller()
        poller.register(dealer, zmq.POLLIN)
        poller.register(self._nudged, zmq.POLLIN)
        beat_ns = now_ns()
        # Only beats are answered, so silence counts from a beat: a native call that holds the interpreter's lock stops
        # the beats too, and what nobody asked nobody answers.
        asked_ns: int | None = beat_ns
        waiting: list[FromNode] = [Hello(os.getpid())]
        while not self._closing.is_set():
            poller.poll(max(0, BEAT_MS - (now_ns() - beat_ns) // 1_000_000))
            _clear(self._nudged)
            waiting += self._said()
            if now_ns() - beat_ns >= BEAT_MS * 1_000_000:
                beat_ns = now_ns()
                asked_ns = beat_ns if asked_ns is None else asked_ns
                waiting.append(self._beat())
            waiting = _send_what_goes(dealer, waiting)
            while readable(dealer):
                asked_ns = None
                self._received(dealer.recv_multipart()[-1])
            if asked_ns is not None:
                self._look_after_orphan(now_ns() - asked_ns)
        waiting = _send_what_goes(dealer, waiting + self._said())
        if waiting and dealer.poll(LINGER_MS, zmq.POLLOUT):  # it leaves before it was ever connected
            _send_what_goes(dealer, waiting)
        dealer.close()
        context.term()

    def _said(self) -> list[FromNode]:
        return [self._outbox.get() for _ in range(self._outbox.qsize())]

    def _received(self, frame: bytes) -> None:
        try:
            message = _to_node.decode(frame)
        except UNREADABLE:
            return  # not from our supervisor
        if not isinstance(message, Heard):
            self.command(message)

    def _look_after_orphan(self, silence_ns: int) -> None:
        if silence_ns < self._orphan_after_ns:
            return
        if not self.orphaned:
            self.orphaned = True
            self.command(Drain())
        elif silence_ns >= self._orphan_after_ns + self._drain_within_ns:
            self._abandon()


def _send_what_goes(dealer: zmq.Socket[bytes], waiting: list[FromNode]) -> list[FromNode]:
    """Send in order; returns what has to wait because nobody is connected."""
    for index, message in enumerate(waiting):
        try:
            dealer.send(_encode(message), zmq.NOBLOCK)
        except zmq.Again:
            return [m for m in waiting[index:] if not isinstance(m, Beat)]
    return []


def _poke(end: socket.socket) -> None:
    try:
        end.send(b"\0")
    except BlockingIOError:
        return  # it is full of wake-ups already


def _clear(end: socket.socket) -> None:
    try:
        while end.recv(4096):
            pass
    except BlockingIOError:
        return
