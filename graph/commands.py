"""What a running graph can be asked and told: one socket in the folder of its run, for the CLI, the dashboard and scripts.

Whoever may open the folder (mode 0700) may give orders. Requests and answers are MessagePack maps with a `type`; what cannot
be read is answered with an error and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import zmq

from graph.errors import VoicegraphError
from graph.links.base import HANDFUL, readable
from graph.message import UNREADABLE
from graph.plan import Plan
from graph.status import GraphStatus

REQUEST_BYTES = 2**22  # a frame that claims to be longer ends its connection
WAITING_MAX = 100  # messages: answers that nobody fetches are dropped
ANSWER_WITHIN_S = 5.0


class Ask(msgspec.Struct, tag="status"):
    """How is the graph?"""


class Stop(msgspec.Struct, tag="stop"):
    """Drain the graph (as a first Ctrl-C does), or stop one node; `now`: the graph at once (as a second one); not a node."""

    node: str = ""
    now: bool = False


class Start(msgspec.Struct, tag="start"):
    """Start a node that was stopped or has failed."""

    node: str


class Restart(msgspec.Struct, tag="restart"):
    """Stop a node and start it again; closes its circuit."""

    node: str


class Scale(msgspec.Struct, tag="scale"):
    """Let a node have so many replicas."""

    node: str
    replicas: int


class Apply(msgspec.Struct, tag="apply"):
    """Become what the file says now. `check`: only tell what would change."""

    plan: Plan
    check: bool = False


Request: TypeAlias = Ask | Stop | Start | Restart | Scale | Apply


class Line(msgspec.Struct):
    """One thing that changes."""

    where: str  # a node, an edge, or empty: the graph itself
    text: str
    applies: bool = True  # False: only a new start can bring it about


class Answer(msgspec.Struct, omit_defaults=True):
    """`error` is empty where the request was understood and is being carried out."""

    error: str = ""
    suggestion: str = ""
    status: GraphStatus | None = None
    changes: list[Line] = []  # of `apply`


class CommandError(VoicegraphError):
    """A command was refused, or nobody answers."""


_requests = msgspec.msgpack.Decoder(Request)
_answers = msgspec.msgpack.Decoder(Answer)
_encode = msgspec.msgpack.Encoder().encode


class CommandServer:
    """The supervisor's end."""

    def __init__(self, context: zmq.Context[Any], endpoint: str) -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 500)  # the answer to a stop is on its way when all is closed
        self.socket.setsockopt(zmq.MAXMSGSIZE, REQUEST_BYTES)
        self.socket.set_hwm(WAITING_MAX)
        self.socket.bind(endpoint)

    def receive(self) -> Iterator[tuple[bytes, Request]]:
        """(whom to answer, what is asked) of all that has come; what cannot be read is answered here."""
        for _ in range(HANDFUL):
            if not readable(self.socket):
                return
            frames = self.socket.recv_multipart()
            try:
                request = _requests.decode(frames[-1])
            except UNREADABLE as error:
                self.answer(frames[0], Answer(f"not a request of this version: {error}"))
                continue
            yield frames[0], request

    def answer(self, whom: bytes, answer: Answer) -> None:
        """Answer; whoever does not wait any more misses it."""
        self.socket.send_multipart((whom, _encode(answer)))

    def close(self) -> None:
        self.socket.close()


class CommandClient:
    """The asking end. Use as a context manager.

    :param run: the folder of the run (`GraphStatus.run_folder`).
    """

    def __init__(self, run: Path, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._run = run
        self._within_ms = int(answer_within_s * 1000)
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.SNDTIMEO, self._within_ms)
        self._socket.connect(f"ipc://{run}/commands")

    def __enter__(self) -> CommandClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: Request) -> Answer:
        """Send a request and wait for its answer.

        :raises CommandError: it was refused, or nobody answers.
        """
        try:
            self._socket.send(_encode(request))
            if not self._socket.poll(self._within_ms):
                raise zmq.Again
            answer = _answers.decode(self._socket.recv())
        except zmq.Again:
            raise CommandError(
                f"the supervisor in {self._run} does not answer; if it was killed, `graph run` on the same file takes over"
            ) from None
        except UNREADABLE as error:
            raise CommandError(f"the supervisor in {self._run} speaks another version: {error}") from error
        if answer.error:
            raise CommandError(answer.error + (f" ({answer.suggestion})" if answer.suggestion else ""))
        return answer

    def status(self) -> GraphStatus:
        """:raises CommandError: nobody answers."""
        status = self.ask(Ask()).status
        if status is None:
            raise CommandError(f"the supervisor in {self._run} speaks another version")
        return status

    def close(self) -> None:
        self._socket.close()
        self._context.term()
