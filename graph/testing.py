"""Run a node in a test, without sockets or processes: feed messages in, collect messages out.

shout = Harness(Shout, volume=3)
assert shout.feed("text", Text(text="hi"))[0].body == Text(text="HI!!!")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from graph.message import DEFAULT_SESSION, Kind, Mark, Message, now_ns
from graph.node import Handled, Node, Outgoing, Step, Until
from graph.steps import steps

N = TypeVar("N", bound=Node)


@dataclass(slots=True)
class Sent:
    """A message the node sent, with everything it inherited filled in."""

    port: str
    body: Any
    payload: bytes
    session: str
    turn: int
    revision: int
    origin_ns: int


@dataclass(slots=True)
class Marked:
    """A mark the node made, with the session and turn it belongs to."""

    mark: Mark
    session: str
    turn: int
    revision: int


@dataclass
class Harness(Generic[N]):
    """The process around a node, without the process. A context manager: `close` is called at its end.

    `clock_ns` stands still unless the node waits (`Until` moves it on at once) or the test sets it; None takes the real clock.
    """

    cls: type[N]
    clock_ns: int | None = 0
    instance: str = "test"
    sent: list[Sent] = field(default_factory=list)
    marks: list[Marked] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        cls: type[N],
        *,
        clock_ns: int | None = 0,
        setup: bool = True,
        inputs: Collection[str] = (),
        outputs: Collection[str] = (),
        **config: Any,
    ) -> None:
        """:param inputs: those that somebody feeds, where the node asks.
        :param outputs: those that somebody hears, where the node asks.
        """
        self.cls = cls
        self.clock_ns = clock_ns
        self.instance = "test"
        self.sent, self.marks, self.warnings, self.statuses = [], [], [], []
        self._linked = {*inputs, *outputs}
        self.kept = {}
        self._newest: dict[str, tuple[int, int]] = {}  # by session, what an `interrupts` input was fed
        self._message: Message[Any] = Message(Mark("", 0))
        self._runner = asyncio.Runner()
        self.node = cls(cls.Config(**config), self)
        if setup:
            self.node.setup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def feed(self, port: str, body: Kind, payload: bytes = b"", **header: Any) -> list[Sent]:
        """Hand one message to an input and run its handler to the end; `header`: session, turn, revision, origin_ns."""
        return list(self.stream(port, body, payload, **header))

    def stream(self, port: str, body: Kind, payload: bytes = b"", **header: Any) -> Iterator[Sent]:
        """Like `feed`, one message at a time; closing the iterator is what an interruption does to a handler."""
        if port not in self.cls.inputs():
            raise KeyError(f"{self.cls.__name__} has no input '{port}'")
        message = Message(body, payload, **header)
        if self.cls.inputs()[port].interrupts:
            newest = self._newest.get(message.session, (0, 0))
            self._newest[message.session] = max(newest, (message.turn, message.revision))
        yield from self._run(getattr(self.node, f"on_{port}")(message), message)

    def due(self) -> list[Sent]:
        """Wait until the node has nothing more to do at a time."""
        sent: list[Sent] = []
        while self.node.due_ns:
            if self.clock_ns is not None:
                self.clock_ns = max(self.clock_ns, self.node.due_ns)
            elif self.node.due_ns > now_ns():
                time.sleep((self.node.due_ns - now_ns()) / 1e9)
            self.node.due_ns = 0
            sent += self._run(self.node.on_due(), Message(Mark("", 0)))
        return sent

    def run(self) -> list[Sent]:
        """Run a source to its end."""
        return list(self._run(self.node.run(), Message(Mark("", 0))))

    def drain(self) -> list[Sent]:
        """All inputs have ended."""
        return list(self._run(self.node.drain(), Message(Mark("", 0))))

    def close(self) -> None:
        self.node.close()
        self._runner.close()

    def _run(self, handled: Handled, message: Message[Any]) -> Iterator[Sent]:
        self._message = message
        running: Iterator[Step] = steps(handled, self._runner)
        try:
            for step in running:
                if isinstance(step, Until) and self.clock_ns is not None:
                    self.clock_ns = max(self.clock_ns, step.at_ns)
                elif isinstance(step, Outgoing):
                    out = self._fill(step, message)
                    self.sent.append(out)
                    yield out
        finally:
            closing = getattr(running, "close", None)
            if closing is not None:
                closing()

    def _fill(self, out: Outgoing, message: Message[Any]) -> Sent:
        if out.port not in self.cls.outputs():
            raise KeyError(f"{self.cls.__name__} has no output '{out.port}'")
        if not isinstance(out.body, self.cls.outputs()[out.port].kinds):
            raise TypeError(f"port '{out.port}' does not carry {type(out.body).__name__}")
        return Sent(
            out.port,
            out.body,
            bytes(out.payload),
            message.session if out.session is None else out.session,
            message.turn if out.turn is None else out.turn,
            message.revision if out.revision is None else out.revision,
            message.origin_ns if out.origin_ns is None else out.origin_ns,
        )

    # what the node sees of the process around it (graph.node.Runtime)

    def now_ns(self) -> int:
        return now_ns() if self.clock_ns is None else self.clock_ns

    def connected(self, port: str) -> bool:
        return port in self._linked

    def status(self, text: str) -> None:
        self.statuses.append(text)

    def keep(self) -> None:
        self.kept = self.node.snapshot()

    def stale(self, session: str, turn: int, revision: int) -> bool:
        return turn > 0 and (turn, revision) < self._newest.get(session, (0, 0))

    def resume(self) -> int:
        return 0

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def mark(self, mark: Mark, session: str | None, turn: int | None, revision: int | None) -> None:
        m = self._message
        self.marks.append(
            Marked(
                mark,
                session if session is not None else m.session or DEFAULT_SESSION,
                m.turn if turn is None else turn,
                m.revision if revision is None else revision,
            )
        )
