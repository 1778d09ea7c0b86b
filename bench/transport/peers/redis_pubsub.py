"""Redis pub/sub: the header's length, the MessagePack header and the payload in one message, as Redis takes one value.

python -m bench.transport.peers.redis_pubsub (source | relay HOP | sink HOP NUMBER)
"""

from __future__ import annotations

import struct
import sys
import time
from typing import Any

import msgpack
import redis

from bench.transport.ends import Sink, Source, Task, folder, send_all

LENGTH = struct.Struct("<I")


def main(role: str, hop: int = 0, number: int = 0) -> None:
    run = folder()
    # Protocol 2: with 3, redis-py 8.1 formats every payload for its log.
    client = redis.Redis(host="127.0.0.1", port=Task.load(run).port, protocol=2)
    _wait_for(client)
    if role == "source":
        source = Source(run)
        payload = source.task.payload

        def send(phase: int, number: int, sent_ns: int) -> None:
            said = {"v": 1, "kind": "bench.sample", "phase": phase, "number": number, "sent_ns": sent_ns}
            client.publish("hop0", _joined(msgpack.packb(said), payload))

        send_all(source, send)
        return
    heard = client.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(f"hop{hop - 1}")
    sink = Sink(run, number) if role == "sink" else None
    for message in heard.listen():
        header, body = _parted(message["data"])
        if sink is None:
            client.publish(f"hop{hop}", _joined(msgpack.packb(header), body))
        elif sink.take(header["phase"], header["number"], header["sent_ns"], body):
            return


def _wait_for(client: redis.Redis) -> None:
    """The broker is started together with its clients; if it never comes, the bench ends us."""
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            time.sleep(0.02)


def _joined(header: bytes, payload: bytes | memoryview) -> bytes:
    return b"".join((LENGTH.pack(len(header)), header, payload))


def _parted(data: bytes) -> tuple[dict[str, Any], memoryview]:
    begin, (length,) = LENGTH.size, LENGTH.unpack_from(data)
    return msgpack.unpackb(data[begin : begin + length]), memoryview(data)[begin + length :]


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
