"""What both kinds of link share: session partitions, a received message on its way to a handler, sockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
import zmq

from graph.errors import MessageError, NodeError
from graph.links.counts import ASTRAY, DEPTH, DEPTH_MAX, DROPPED, REJECTED, STALE, Cells, EdgeStatistics, statistics
from graph.message import BodyDecoder, Header, Kind, Message, decode_header
from graph.plan import Edge

if TYPE_CHECKING:
    from graph.links.receipts import Receipt
    from graph.links.taking import TakerLane

# As plain numbers: an operation on zmq's enums costs a microsecond.
_MORE, _NOBLOCK, _EVENTS, _POLLIN = int(zmq.SNDMORE), int(zmq.NOBLOCK), int(zmq.EVENTS), int(zmq.POLLIN)

LONG = 65_536  # bytes; a shorter frame is cheaper to copy than to keep (as pyzmq's own copy_threshold)

HANDFUL = 64  # messages taken from a socket before others are looked at
TOLD = 200  # characters of a reason that come from outside
MISSING_MAX = 2**32  # messages; a number that says that more were lost tells nothing, and its sum would not fit a counter

RECONNECT_MS = 10  # libzmq's default of 100 ms would eat a quick restart


@dataclass(slots=True)
class Route:
    """One edge as its consumer sees it: which input it feeds, how to decode it, what was counted."""

    edge: Edge
    decoder: BodyDecoder
    interrupts: bool
    cells: Cells
    reason: str = ""  # why the newest of those rejected was rejected
    past: bool = False  # it tells of turns that are over

    @property
    def full(self) -> bool:
        """True when `depth` messages of this edge wait in the inbox; a queue has its credit instead."""
        return self.cells[DEPTH] >= self.edge.depth and self.edge.link == "stream"

    def entered(self) -> None:
        """A message has entered the inbox."""
        cells = self.cells
        cells[DEPTH] = depth = cells[DEPTH] + 1
        if depth > cells[DEPTH_MAX]:
            cells[DEPTH_MAX] = depth

    def left(self) -> None:
        """A message has left the inbox, one way or another."""
        self.cells[DEPTH] -= 1

    def taken_back(self, messages: int) -> None:
        """So many that came here, and are not to be handled, are another's: it counts them."""
        for why in (DROPPED, STALE, REJECTED):
            these = min(messages, self.cells[why])
            self.cells[why] -= these
            messages -= these

    def statistics(self) -> EdgeStatistics:
        """What has been counted at this end of the edge."""
        return statistics(self.cells)

    def rejected(self, reason: Exception, numbered: bool = False) -> None:
        """A frame that was meant for this edge is no message for it, though it may have had its number there."""
        self.cells[REJECTED] += 1
        self.cells[ASTRAY] += not numbered
        told = str(reason)[:TOLD]
        self.reason = told if told.isprintable() else repr(told)


class Taken(NamedTuple):
    """Which copy of a queue message this is, so that it can be acknowledged."""

    producer: str  # instance
    life: int
    edge: str
    seq: int


class Arrival(msgspec.Struct, eq=False):
    """A message that has reached its consumer and waits for its handler."""

    route: Route
    message: Message[Any]
    lane: TakerLane | None = None  # of a queue
    receipt: Receipt | None = None  # of an at_least_once queue


@dataclass(frozen=True, slots=True)
class Ended:
    """A producer instance will send nothing more on these edges."""

    instance: str
    edges: tuple[str, ...]


def header_of(frames: Sequence[bytes]) -> Header:
    """Read the header of a message as it came from a socket: `[topic, header, payload?]`.

    :raises MessageError: it is not a message of this protocol.
    """
    if not 2 <= len(frames) <= 3:
        raise MessageError(f"{len(frames)} frames instead of 2 or 3")
    return decode_header(frames[1])


def check_length(frames: Sequence[bytes], max_message: int) -> None:
    """To be asked once the message has taken its place among the numbers: it is rejected there, and nowhere missed.

    :raises MessageError: it is longer than `max_message` bytes.
    """
    length = len(frames[1]) + (len(frames[2]) if len(frames) == 3 else 0)
    if length > max_message:
        raise MessageError(f"{length} bytes are more than max_message, {max_message}")


def received(header: Header, body: Kind, payload: bytes | memoryview) -> Message[Any]:
    """The handler's view of a decoded message."""
    return Message(body, payload, header.session, header.turn, header.revision, header.origin_ns, header)


def send(made: zmq.Socket[bytes], *frames: bytes | memoryview) -> None:
    """Send a message of several frames. (`send_multipart` costs three times as much: its flags are enums.)"""
    for frame in frames[:-1]:
        made.send(frame, _MORE)
    made.send(frames[-1])


def waiting(made: zmq.Socket[bytes], most: int = HANDFUL) -> Iterator[list[bytes]]:
    """The messages that can be read without waiting, `most` at most. A long frame is not copied: it is a view.

    Cheapest when a poll has found one: asking a socket costs as much as reading a message.
    """
    try:
        frame = made.recv(_NOBLOCK, copy=False)
    except zmq.Again:
        return
    while True:
        frames = [frame.bytes]
        while frame.more:
            frame = made.recv(_NOBLOCK, copy=False)
            frames.append(frame.bytes if len(frame) < LONG else cast(bytes, frame.buffer))
        yield frames
        most -= 1
        if most == 0 or not readable(made):
            return
        frame = made.recv(_NOBLOCK, copy=False)


def readable(made: zmq.Socket[bytes]) -> bool:
    """True when a message can be read without waiting (cheaper than a poll: no system call)."""
    return bool(cast(int, made.getsockopt(_EVENTS)) & _POLLIN)


def missing_before(header: Header, expected: int) -> int:
    """How many messages were lost between the last one and this.

    :raises MessageError: it came before, or cannot be.
    """
    missing = header.seq - expected
    if missing < 0:
        raise MessageError(f"number {header.seq} of '{header.instance}' came before")
    if missing > MISSING_MAX:
        raise MessageError(f"number {header.seq} of '{header.instance}' cannot follow {expected}")
    return missing


def socket(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, high_water_mark: int, max_message: int = -1
) -> zmq.Socket[bytes]:
    """A socket that holds at most `high_water_mark` messages each way, reconnects quickly and closes without waiting.

    A frame that claims to be far longer than `max_message` ends its connection before anything is allocated for it.
    """
    made = context.socket(kind)
    made.setsockopt(zmq.SNDHWM, high_water_mark)  # `set_hwm` gives `Generic` an attribute, which every class below it notices
    made.setsockopt(zmq.RCVHWM, high_water_mark)
    made.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    made.setsockopt(zmq.LINGER, 0)
    if max_message > 0:
        made.setsockopt(zmq.MAXMSGSIZE, 2 * max_message)
    return made


def rebind(made: zmq.Socket[bytes], former: str, endpoint: str) -> str:
    """Bind where it is not bound yet, and no longer where it was; either may be empty. Returns where it is bound now.

    :raises NodeError: as `bind` does.
    """
    if endpoint != former:
        if former:
            made.unbind(former)
        if endpoint:
            bind(made, endpoint)
    return endpoint


def bind(made: zmq.Socket[bytes], endpoint: str) -> None:
    """Bind, or say in one line why not.

    :raises NodeError: the port is in use, or the address is not this machine's.
    """
    try:
        made.bind(endpoint)
    except zmq.ZMQError as error:
        address = endpoint.removeprefix("tcp://")
        if error.errno == zmq.EADDRINUSE:
            raise NodeError(f"port {address} is in use by another program: choose another `first_port`") from error
        raise NodeError(f"cannot listen on {address}: {error.strerror}") from error
