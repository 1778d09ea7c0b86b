"""What a node author writes: a class with ports, a config model and a handler per input.

    class Shout(Node):
        \"\"\"Says everything louder.\"\"\"

        Config = ShoutConfig
        config: ShoutConfig

        text = Input(Text)
        loud = Output(Text)

        def on_text(self, message: Message[Text]) -> Iterator[Step]:
            yield self.loud(Text(text=message.body.text.upper()))

The class knows no sockets and no clock of its own: a worker process runs it in a graph, `graph.testing.Harness` in a test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from functools import cache, cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict

from graph.errors import MissingExtra
from graph.message import Kind, Mark

K = TypeVar("K", bound=Kind)


class NodeConfig(BaseModel):
    """Base of every node's parameters (`with:` in the file): unknown keys are errors, defaults are checked too."""

    # Deferred: whoever only looks at a node class does not pay for a validator of its parameters.
    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True, defer_build=True)


class Outgoing(msgspec.Struct, frozen=True):
    """A message on its way out. What is None is taken over from the message being handled."""

    port: str
    body: Kind
    payload: bytes | memoryview = b""
    session: str | None = None
    turn: int | None = None
    revision: int | None = None
    origin_ns: int | None = None


class Until(msgspec.Struct, frozen=True):
    """A step that waits for a monotonic time; the worker goes on looking at its control messages meanwhile.

    A source that is asked to stop while it waits is woken early.
    """

    at_ns: int


Step: TypeAlias = Outgoing | Until | None
"""What a handler yields: a message, a wait, or None (nothing to say, but a good moment to be interrupted)."""

Handled: TypeAlias = Outgoing | Iterator[Step] | Awaitable[Outgoing | None] | AsyncIterator[Step] | None


class Input(Generic[K]):
    """An input port that takes messages of the given kinds; its handler is the method `on_<name>`.

    An `interrupts` input is looked at between two steps of a running handler: a message on it makes everything of the
    same session with an older (turn, revision) stale; a stale handler is closed and what it had not said stays unsaid.
    What comes on a `past` input tells of turns that are over, and is never stale.
    """

    def __init__(
        self, *kinds: type[K], required: bool = True, interrupts: bool = False, past: bool = False, doc: str = ""
    ) -> None:
        self.kinds: tuple[type[K], ...] = kinds
        self.required = required
        self.interrupts = interrupts
        self.past = past
        self.doc = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


class Output(Generic[K]):
    """An output port; calling it makes a message to yield: `yield self.text(Text(text="hi"), turn=3)`.

    What is said on an `interrupts` output makes older turns stale, also what the node itself has said of them before: queues
    that still have it let it go.
    """

    def __init__(self, *kinds: type[K], interrupts: bool = False, doc: str = "") -> None:
        self.kinds: tuple[type[K], ...] = kinds
        self.interrupts = interrupts
        self.doc = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __call__(
        self,
        body: K,
        payload: bytes | memoryview = b"",
        *,
        session: str | None = None,
        turn: int | None = None,
        revision: int | None = None,
        origin_ns: int | None = None,
    ) -> Outgoing:
        return Outgoing(self.name, body, payload, session, turn, revision, origin_ns)


class Runtime(Protocol):
    """What a node may ask of the process (or the test) around it."""

    instance: str

    def now_ns(self) -> int:
        """Monotonic nanoseconds."""

    def connected(self, port: str) -> bool:
        """True where somebody feeds an input, or hears an output; links may come and go while the graph runs."""

    def status(self, text: str) -> None:
        """Say what takes long, e.g. "loading whisper-base"; shown while the node starts."""

    def stale(self, session: str, turn: int, revision: int) -> bool:
        """True where a message on an `interrupts` input has come that is of a newer turn, though it is not handled yet.

        For what is said in `on_due`, which the worker does not close by itself: it does not know for whom it is.
        """

    def resume(self) -> int:
        """How many messages of a `replayable` source are done, that its former lives have sent: go on with the next.

        To be asked before the first message. What counts is messages on ports that feed an at_least_once queue.
        """

    def keep(self) -> None:
        """Keep what `snapshot` says now for the next life of this process, if it dies: `restore` is given it then."""

    def warn(self, text: str) -> None:
        """Tell the operator something worth knowing that is not a failure."""

    def mark(self, mark: Mark, session: str | None, turn: int | None, revision: int | None) -> None:
        """Publish a mark on the node's telemetry port and in the run's report."""


TELEMETRY = "telemetry"


@cache
def _ports(declared: type) -> dict[str, Input[Any] | Output[Any]]:
    """What a class itself declares, looked for once: a process that goes through all that `Node` has copies it."""
    return {name: value for name, value in vars(declared).items() if isinstance(value, (Input, Output))}


class Node:
    """Base of all nodes. `setup` loads, handlers work, `drain` finishes what is in hand, `close` frees."""

    Config: ClassVar[type[NodeConfig]] = NodeConfig
    extra: ClassVar[str] = ""  # the pip extra that brings this node's libraries
    terminal: ClassVar[bool] = False  # True: its standard output is the terminal of `graph run`
    # False: another version cannot begin beside it, for what it writes or holds is its alone.
    replaceable: ClassVar[bool] = True
    # Parameters that take effect in a running node as soon as `config` is another: read them anew for every message.
    changeable: ClassVar[frozenset[str]] = frozenset()
    # What it does with one message it does in the same way again, so repeats of its outputs can be told (docs/links.md).
    repeatable: ClassVar[bool] = True
    # A source that, started again, says the same again from its beginning, or from `runtime.resume()`: repeats are known.
    replayable: ClassVar[bool] = False
    due_ns = 0  # when `on_due` is to be called, monotonic; 0: not at all

    telemetry = Output(Mark, doc="marks, counters and logs of the node itself; every node has this port")

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime

    @classmethod
    def inputs(cls) -> dict[str, Input[Any]]:
        """The input ports by name, in the order of declaration, bases first."""
        return {port: found for c in reversed(cls.__mro__) for port, found in _ports(c).items() if isinstance(found, Input)}

    @classmethod
    def outputs(cls) -> dict[str, Output[Any]]:
        """The output ports by name, `telemetry` included."""
        return {port: found for c in reversed(cls.__mro__) for port, found in _ports(c).items() if isinstance(found, Output)}

    @classmethod
    def models(cls, config: Any) -> Sequence[str]:
        """The models (catalogue names, paths or hub ids) that this node needs with this config."""
        return ()

    @classmethod
    def extras(cls, config: Any) -> Sequence[str]:
        """The pip extras of voicegraph that bring the libraries this node needs with this config."""
        return (cls.extra,) if cls.extra else ()

    def setup(self) -> None:
        """Load what takes long. Raise a VoicegraphError whose text tells the user what to do."""

    def run(self) -> Iterator[Step]:
        """A source's own loop (a node with no connected input); when it returns, the source has ended."""
        return iter(())

    def stop(self) -> None:
        """A source is asked to end: let `run` return soon, with what it has already captured sent."""

    def on_input_end(self, name: str) -> Handled:
        """An input will bring nothing more: all its producers have ended."""
        return None

    def on_input_silent(self, name: str) -> Handled:
        """Nothing has come on an input for its `input_timeout`."""
        return None

    def on_input_back(self, name: str) -> Handled:
        """Something has come again on an input that had fallen silent; it will be handled next."""
        return None

    def on_due(self) -> Handled:
        """Called between two messages, once `due_ns` has come (it is 0 by then): for what has to happen at a time.

        Not of sources, whose loop may wait (`Until`), and not while the node drains.
        """

    def drain(self) -> Handled:
        """All inputs have ended: say what is still to be said."""
        return None

    def reconfigure(self, config: Any) -> None:
        """Parameters that are `changeable` have changed; called between two messages. For what is not read anew each time."""
        self.config = config

    def in_turn(self) -> Collection[str]:
        """Sessions in the middle of a turn: a successor does not take over before it is over."""
        return ()

    def snapshot(self) -> dict[str, Any]:
        """By session, what a successor has to know to go on: plain data, as MessagePack can carry it.

        Asked when another version of the node, or another replica, takes over; a node that has this is not drained then.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with sessions that another had: what its `snapshot` returned. It replaces what is known of them."""

    def close(self) -> None:
        """Free what `setup` took; called once, also after a failure."""

    def mark(
        self,
        name: str,
        *,
        at_ns: int | None = None,
        session: str | None = None,
        turn: int | None = None,
        revision: int | None = None,
        zero: bool = False,
        **fields: str | int | float | bool,
    ) -> None:
        """Put a time stamp on the current turn: shown by metrics nodes, kept in the run's report.

        What is None is taken from the message being handled; `at_ns` defaults to now. `zero`: the times of the turn
        count from this mark. Call it from handlers only, never from a thread of the node's own.
        """
        stamp = self.runtime.now_ns() if at_ns is None else at_ns
        self.runtime.mark(Mark(name=name, at_ns=stamp, zero=zero, fields=fields), session, turn, revision)

    @cached_property
    def log(self) -> Any:
        """A structlog logger: `self.log.info("loaded", model=name)` is a line in the node's log file (docs/logs.md)."""
        from graph.logs import get  # only where a node really runs

        return get()

    def missing(self, module: str, extra: str = "") -> MissingExtra:
        """The error to raise when an import in `setup` fails: `except ImportError as e: raise self.missing("av") from e`.

        `extra` where one engine of the node needs another extra than the node's own.
        """
        return MissingExtra(type(self).__name__, extra or self.extra, module)
