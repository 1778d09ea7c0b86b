"""What both kinds of link share: statistics, session partitions, a received message on its way to a handler."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import msgspec
import zmq

from graph.errors import MessageError
from graph.message import BodyDecoder, Header, Kind, Message, decode_header
from graph.plan import Edge

PARTITIONS = 64  # sessions are spread over this many topics of a port; replicas share the topics out

RECONNECT_MS = 10  # libzmq's default of 100 ms would eat a quick restart


class EdgeStatistics(msgspec.Struct):
    """What one end of an edge has counted. A producer counts `sent`, a consumer the rest."""

    sent: int = 0
    delivered: int = 0
    dropped: int = 0  # lost on the way or pushed out of a full buffer
    stale: int = 0  # of a turn that was interrupted before they were handled
    rejected: int = 0  # not a message of this protocol, or of a kind the port does not take
    bytes: int = 0  # payload bytes delivered


@lru_cache(maxsize=4096)
def partition_of(session: str) -> int:
    """The partition a session's messages travel in: the same in every process and run."""
    return zlib.crc32(session.encode()) % PARTITIONS


def partitions_of_replica(replica: int, replicas: int) -> list[int]:
    """The partitions a replica listens to, by rendezvous hashing: few move when replicas come or go.

    Source: Thaler, Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 1998.
    """

    def winner(partition: int) -> int:
        return max(range(replicas), key=lambda r: zlib.crc32(f"{partition}/{r}".encode()))

    return [p for p in range(PARTITIONS) if winner(p) == replica]


@dataclass(slots=True)
class Route:
    """One edge as its consumer sees it: which input it feeds, how to decode it, what was counted."""

    edge: Edge
    decoder: BodyDecoder
    interrupts: bool
    statistics: EdgeStatistics = field(default_factory=EdgeStatistics)
    waiting: int = 0  # messages of this edge in the worker's inbox


@dataclass(slots=True)
class Arrival:
    """A message that has reached its consumer and waits for its handler."""

    route: Route
    message: Message[Any]
    taken: tuple[str, str, int] | None = None  # of a queue: (producer instance, edge id, sequence number) to acknowledge


@dataclass(frozen=True, slots=True)
class Ended:
    """A producer instance will send nothing more on these edges."""

    instance: str
    edges: tuple[str, ...]


def header_of(frames: Sequence[bytes]) -> Header:
    """Read the header of a message as it came from a socket: `[topic, header, payload?]`.

    :raises MessageError: it is not a message of this protocol.
    """
    if len(frames) not in (2, 3):
        raise MessageError(f"{len(frames)} frames instead of 2 or 3")
    return decode_header(frames[1])


def received(header: Header, body: Kind, frames: Sequence[bytes]) -> Message[Any]:
    """The handler's view of a decoded message."""
    payload = frames[2] if len(frames) == 3 else b""
    return Message(body, payload, header.session, header.turn, header.revision, header.origin_ns, header)


def readable(made: zmq.Socket[bytes]) -> bool:
    """True when a message can be read without waiting (cheaper than a poll: no system call)."""
    return bool(cast(int, made.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, high_water_mark: int) -> zmq.Socket[bytes]:
    """A socket that holds at most `high_water_mark` messages each way, reconnects quickly and closes without waiting."""
    made = context.socket(kind)
    made.set_hwm(high_water_mark)
    made.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    made.setsockopt(zmq.LINGER, 0)
    return made
