"""What the launcher asks of the nursery, and what it answers: one MessagePack object a packet."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class SpawnChild(msgspec.Struct, tag="spawn", frozen=True, forbid_unknown_fields=True):
    """Start a process. Two descriptors come with it: its stdout and its stderr."""

    instance: str
    life: int
    command: tuple[str, ...]  # of a fresh program; empty: a worker, forked
    environment: dict[str, str]  # added to that of `graph run`
    fallback: bool = False
    cpus: tuple[int, ...] | None = None
    nice: int = 0
    cwd: str = ""  # empty: that of `graph run`


class Leave(msgspec.Struct, tag="leave", frozen=True):
    """Kill what still lives, and end."""


class Spawned(msgspec.Struct, tag="spawned", frozen=True):
    pid: int
    started: int  # as graph.rundir.NodeProcess has it; -1: it was dead before it could be looked at


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """Nothing was started; the text is for the user."""

    text: str


ToNursery: TypeAlias = SpawnChild | Leave
FromNursery: TypeAlias = Spawned | Refused

REQUEST_BYTES = 2**17  # a packet of a Unix socket may have somewhat more, 208 KB, unless a system was told otherwise
encode = msgspec.msgpack.Encoder().encode
to_nursery = msgspec.msgpack.Decoder(ToNursery)
from_nursery = msgspec.msgpack.Decoder(FromNursery)
