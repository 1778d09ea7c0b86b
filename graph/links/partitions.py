"""Sessions are spread over the partitions of a stream, and the replicas of a consumer share the partitions out."""

from __future__ import annotations

import zlib
from functools import cache, lru_cache
from hashlib import sha256

from graph.links.counts import PARTITIONS


@lru_cache(maxsize=4096)
def partition_of(session: str) -> int:
    """The partition a session's messages travel in: the same in every process and run."""
    return zlib.crc32(session.encode()) % PARTITIONS


def partitions_of_replica(replica: int, replicas: int) -> list[int]:
    """The partitions a replica listens to, by rendezvous hashing: few move when replicas come or go.

    Source: Thaler, Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 1998.
    """
    return [p for p, winner in enumerate(_winners(replicas)) if winner == replica]


@cache
def _winners(replicas: int) -> list[int]:
    """By partition, the replica that has it. (A CRC will not do: those of "3/0" and "3/1" always differ in the same bits,
    so that one of two replicas won everything.)"""

    def weight(partition: int, replica: int) -> bytes:
        return sha256(f"{partition}/{replica}".encode()).digest()

    return [max(range(replicas), key=lambda r: weight(p, r)) for p in range(PARTITIONS)]
