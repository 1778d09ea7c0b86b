"""Hostile input of all sorts, the same again for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgpack

MAX_MESSAGE = 65_536  # bytes, as the graph under test has it
PARTITIONS = [b"%02x" % p for p in range(64)]


def header(chance: random.Random, **changes: Any) -> dict[str, Any]:
    """A header that is right, of the node `bad` that speaks the protocol when it wants to, but for the changes."""
    right = {"v": 1, "kind": "test.number", "port": "out", "instance": "bad", "seq": chance.randrange(2**20)}
    return {**right, "session": f"s{chance.randrange(9)}", "body": {"n": chance.randrange(100)}, **changes}


def claimed(chance: random.Random) -> bytes:
    """A map, an array, a text or bytes of up to 4 thousand million items, of which nothing comes."""
    kind = chance.choice([b"\xdf", b"\xdd", b"\xdb", b"\xc6", b"\xc9"])
    return kind + chance.randrange(2**31, 2**32).to_bytes(4, "big")


def nested(chance: random.Random) -> bytes:
    """Lists in lists, or maps in maps, a hundred thousand deep at most."""
    return chance.choice([b"\x91", b"\x81\x01"]) * chance.randrange(2_000, 30_000) + b"\xc0"


def with_field(frame: bytes, name: str, value: bytes) -> bytes:
    """A packed map of at most 14 entries, and one entry more."""
    return bytes([frame[0] + 1]) + frame[1:] + msgpack.packb(name) + value


def flipped(chance: random.Random, frame: bytes) -> bytes:
    bits = bytearray(frame)
    for _ in range(chance.randrange(1, 4)):
        bits[chance.randrange(len(bits))] ^= 1 << chance.randrange(8)
    return bytes(bits)


def unreadable(chance: random.Random) -> list[bytes]:
    """What follows the topic of a message that nobody may take for one, whoever looks at it."""
    right = msgpack.packb(header(chance))
    sorts: list[Callable[[], list[bytes]]] = [
        lambda: [chance.randbytes(chance.randrange(200))],
        lambda: [right[: chance.randrange(len(right))], b"payload"],
        lambda: [msgpack.packb(header(chance, v=chance.choice([0, 2, -1, 2**40])))],
        lambda: [right, bytes(MAX_MESSAGE)],
        list,
        lambda: [right, b"", b"", b""],
        lambda: [with_field(right, chance.choice(["later", "trace", "cause"]), nested(chance))],
        lambda: [with_field(right, chance.choice(["later", "trace", "cause"]), claimed(chance))],
        lambda: [claimed(chance)],
        lambda: [nested(chance)],
        lambda: [msgpack.packb(header(chance, kind="test.strange"))],
        lambda: [msgpack.packb(header(chance, instance=chance.choice(["nobody", "", "x" * 5000, "\x1b[2J\n"])))],
        lambda: [msgpack.packb(header(chance, seq=chance.choice([-1, 2**53, 2**64 - 1, 1.5, float("nan"), None])))],
        lambda: [msgpack.packb(header(chance, life=chance.choice([-1, 2**53, 2**64 - 1, "one"])))],
        lambda: [
            msgpack.packb(header(chance, body=chance.choice([{"n": "one"}, {"n": 2**64 - 1, "x": {}}, {"n": float("nan")}])))
        ],
    ]
    return chance.choice(sorts[:-1])() if chance.random() < 0.99 else sorts[-1]()


def doubtful(chance: random.Random) -> list[bytes]:
    """What may be a message, and does not tell the truth."""
    right = msgpack.packb(header(chance))
    ring = chance.choice(["bad.0.1.ring", "../../../etc/passwd", "bad.99999999.1.ring", "", "x" * 300])
    block = [ring, chance.randrange(2**53), chance.choice([0, 576, 2**52]), chance.choice([0, 2**52])]
    cause = [f"bad~{chance.randrange(2000)}", chance.randrange(2**53), chance.randrange(2**53), chance.randrange(9)]
    lies = [
        {"seq": chance.randrange(2**53)},
        {"life": chance.randrange(2**30)},
        {"life": chance.randrange(2**53), "seq": chance.randrange(2**53)},
        {"block": block},
        {"cause": cause, "floor": chance.randrange(2**53), "attempt": chance.randrange(2**53)},
        {"turn": chance.choice([-(2**63), 2**63 - 1]), "session": "hostile", "sent_ns": chance.choice([-(2**63), 2**63 - 1])},
        {"session": "\x1b[2J" * 100, "trace": "t" * 1000},
    ]
    return chance.choice([[flipped(chance, right)], [msgpack.packb(header(chance, **chance.choice(lies))), b"p"]])


def notice(chance: random.Random, right: list[dict[str, Any]]) -> bytes:
    """A notice of those given, true, bent or broken; or anything at all."""
    packed = msgpack.packb(chance.choice(right))
    return chance.choice(
        [
            packed,
            flipped(chance, packed),
            packed[: chance.randrange(len(packed))],
            with_field(packed, "later", nested(chance)),
            with_field(packed, "later", claimed(chance)),
            chance.randbytes(chance.randrange(100)),
        ]
    )


def credits(chance: random.Random) -> list[dict[str, Any]]:
    """What a taker might say on a credit socket, with numbers that are not true."""
    number = chance.choice([0, 1, 2**31, 2**53 - 1, 2**53, -1, float("nan")])
    ack = {"type": "ack", "edge": "mid.out->end.x", "freed": number, "life": chance.randrange(5)}
    return [
        {"type": "hello", "taker": chance.choice(["nobody", "", "x" * 1000]), "life": number},
        {**ack, "taker": "nobody"},
        {**ack, "taker": "end", "life": 1 + chance.randrange(2**40), "done": [number] * 50},
        {**ack, "taker": "end", "freed": 2**50, "done": [2**50]},
        {**ack, "taker": "end", "edge": "nobody.out->end.x"},
    ]


def ends(chance: random.Random) -> list[dict[str, Any]]:
    """What a producer might say of its streams."""
    life, sent = chance.choice([0, 2**31, 2**53 - 1, 2**64 - 1, -1]), chance.choice([0, 2**53 - 1, 2**64 - 1, -1])
    topic = "bad.out/" + chance.choice(["00", "3f", "40", "zz", "-1", "", "0" * 5000])
    return [
        {"type": "end", "instance": "bad", "life": life, "sent": {topic: sent}},
        {"type": "welcome", "instance": "bad", "life": life, "next": {topic: sent}},
        {"type": "end", "instance": "nobody", "life": life},
    ]


def control(chance: random.Random) -> list[dict[str, Any]]:
    """What a node might say to the supervisor."""
    number = chance.choice([0, 2**53, 2**64 - 1, -(2**63), float("nan")])
    return [
        {"type": "hello", "pid": number},
        {"type": "failed", "text": "x" * chance.randrange(3000)},
        {"type": "drained"},
        {"type": "beat", "sent": {"out": number}, "edges": {"src.out->mid.x": {"sent": number}}},
        {"type": "warned", "text": "\x1b[2J\n"},
    ]
