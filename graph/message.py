"""What travels between nodes: a MessagePack header, the fields of a kind inside it, and a raw payload beside it.

On the wire a message is `[topic, header, payload?]`. The header is one MessagePack map; the kind's own fields stand
in it under `body`. docs/wire-protocol.md says the same for authors in other languages.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec

from graph.errors import MessageError

PROTOCOL = 1
DEFAULT_SESSION = "default"

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
"""Numbers that count: what a double holds exactly, for nodes in other languages; anything else is no message."""


NO_BODY = msgspec.Raw(b"\x80")


class Kind(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of what a message says: the fields of one kind, under a name unique on the wire.

    A subclass sets `kind`, e.g. `kind: ClassVar[str] = "audio.frame"`, and declares its fields with their units.
    A field equal to its default does not travel.
    """

    kind: ClassVar[str] = ""


class Mark(Kind, frozen=True, omit_defaults=True):
    """Telemetry: something worth a time stamp happened to a turn (its transcript came, its first audio left …)."""

    kind: ClassVar[str] = "telemetry.mark"
    name: str
    at_ns: int  # monotonic, on the host that the header names
    zero: bool = False  # the times of its turn count from here
    fields: dict[str, str | int | float | bool] = {}


class Cause(msgspec.Struct, frozen=True, array_like=True):
    """Names an effect: the same work, done again after a crash, gives the same cause, so that repeats are known."""

    origin: str  # the instance (and its life) that the work began at
    number: Count  # of the origin's messages
    id: Count  # which effect of it: any number that the same work gives again, 0 for the origin's own message
    run: Count = 0  # of work that may turn out differently: a later run replaces what an earlier one said


class Block(msgspec.Struct, frozen=True, array_like=True):
    """A payload in shared memory: where it lies in which ring file of the run (graph.links.shared_memory)."""

    ring: str  # file name
    number: Count  # of the blocks of the producer's life, from 1
    offset: Count  # bytes
    length: Count  # bytes


class Header(msgspec.Struct, omit_defaults=True):
    """Everything a receiver must know before it looks at the body. All times are monotonic nanoseconds of `host`."""

    v: int
    kind: str
    port: str
    instance: str
    seq: Count
    session: str = DEFAULT_SESSION
    turn: int = 0
    revision: int = 0
    origin_ns: int = 0  # when the first cause of this message came into being, e.g. a frame's last sample was spoken
    sent_ns: int = 0
    host: str = ""
    trace: str = ""  # W3C traceparent
    life: Count = 0  # how often the producing instance was started again; sequence numbers begin anew with each
    cause: Cause | None = None  # on at_least_once links: what this is an effect of
    floor: Count = 0  # all numbers of the cause's origin below this one are finished with
    to: Count = 0  # on queues: the life of the taker that it is meant for
    attempt: Count = 0  # how often the work behind this message was tried before
    block: Block | None = None  # where the payload lies, when it travels in shared memory
    body: msgspec.Raw = NO_BODY


K = TypeVar("K", bound=Kind)
K_co = TypeVar("K_co", bound=Kind, covariant=True)


class Message(msgspec.Struct, Generic[K_co]):
    """A message as a handler sees it: `body` is the kind's struct, `payload` the raw bytes (PCM, a file's content)."""

    body: K_co
    payload: bytes | memoryview = b""
    session: str = DEFAULT_SESSION
    turn: int = 0
    revision: int = 0
    origin_ns: int = 0
    header: Header | None = None  # None in tests that feed a node by hand

    @property
    def run(self) -> int:
        """How often its producer has begun anew with the work that this came of, where that may turn out differently
        (`Node.repeatable`); known on at_least_once links."""
        return self.header.cause.run if self.header is not None and self.header.cause is not None else 0


@cache
def host_id() -> str:
    """The id of this boot of this machine: monotonic times compare only where it is equal."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text().strip()[:8] if boot.exists() else os.uname().nodename[:8]


def now_ns() -> int:
    """CLOCK_MONOTONIC: the same clock in every process of a host."""
    return time.monotonic_ns()


# What a decoder raises for bytes that are no message: also nested so deep that it gives up.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(Header)


def encode_body(body: Kind) -> bytes:
    """The fields of a kind, as they stand in a header."""
    return _encoder.encode(body)


def encode_header(header: Header, body: Kind) -> bytes:
    """The header frame of a message, the body's fields inside it: encoded here, if they are not there yet."""
    if header.body is NO_BODY:
        header.body = msgspec.Raw(encode_body(body))
    return _encoder.encode(header)


def decode_header(frame: bytes | memoryview) -> Header:
    """Read a header frame; the body stays undecoded until its kind's decoder is chosen.

    :raises MessageError: not MessagePack, fields missing or of a wrong type, or another protocol version.
    """
    try:
        header = _header_decoder.decode(frame)
    except UNREADABLE as error:
        raise MessageError(f"not a message header: {error}") from error
    if header.v != PROTOCOL:
        raise MessageError(f"protocol version {header.v}, this node speaks {PROTOCOL}")
    return header


class BodyDecoder:
    """Turns the raw body of a header into a kind's struct; one per input, made from the kinds its port declares."""

    def __init__(self, kinds: tuple[type[Kind], ...]) -> None:
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {k.kind: msgspec.msgpack.Decoder(k) for k in kinds}

    def decode(self, header: Header) -> Kind:
        """:raises MessageError: the kind is not one this port takes, or its fields do not fit."""
        decoder = self._decoders.get(header.kind)
        if decoder is None:
            raise MessageError(f"kind '{header.kind}' does not belong here; this port takes {sorted(self._decoders)}")
        try:
            body: Kind = decoder.decode(header.body)
        except UNREADABLE as error:
            raise MessageError(f"bad body of kind '{header.kind}': {error}") from error
        return body
