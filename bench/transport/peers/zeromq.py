"""Raw pyzmq over ipc: a MessagePack header and the payload as a frame of its own, blocking receives, default marks.

python -m bench.transport.peers.zeromq (pubsub|pushpull) (source | relay HOP | sink HOP NUMBER)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgpack
import zmq

from bench.transport.ends import Sink, Source, Task, folder, send_all

COPY_BELOW = 65536  # bytes; pyzmq's own advice: from there on frames are not copied


def main(pattern: str, role: str, hop: int = 0, number: int = 0) -> None:
    run, context = folder(), zmq.Context()
    copy = Task.load(run).size < COPY_BELOW
    sockets = _Sockets(context, run, pattern)
    if role == "source":
        out, source = sockets.outgoing(0), Source(run)
        payload = source.task.payload
        send_all(source, lambda phase, number, at_ns: out.send_multipart((_header(phase, number, at_ns), payload), copy=copy))
    elif role == "relay":
        into, out = sockets.incoming(hop - 1), sockets.outgoing(hop)
        while True:
            header, body = into.recv_multipart(copy=copy)
            read = msgpack.unpackb(header if copy else header.buffer)
            out.send_multipart((msgpack.packb(read), body), copy=copy)
    else:
        into, sink = sockets.incoming(hop - 1), Sink(run, number)
        while not sink.over:
            header, body = into.recv_multipart(copy=copy)
            read = msgpack.unpackb(header if copy else header.buffer)
            sink.take(read["phase"], read["number"], read["sent_ns"], body if copy else body.buffer)
    context.destroy(linger=200)


def _header(phase: int, number: int, sent_ns: int) -> Any:
    """As much as a fair user would say: which message of which stream, and when."""
    named = {"v": 1, "kind": "bench.sample", "port": "out", "instance": "source", "session": "default"}
    return msgpack.packb({**named, "phase": phase, "number": number, "sent_ns": sent_ns})


class _Sockets:
    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], run: Path, pattern: str) -> None:
        self._context = context
        self._run = run
        self._publishes = pattern == "pubsub"

    def outgoing(self, hop: int) -> Any:
        socket = self._context.socket(zmq.PUB if self._publishes else zmq.PUSH)
        socket.bind(f"ipc://{self._run}/hop{hop}")
        return socket

    def incoming(self, hop: int) -> Any:
        socket = self._context.socket(zmq.SUB if self._publishes else zmq.PULL)
        if self._publishes:
            socket.subscribe(b"")
        socket.connect(f"ipc://{self._run}/hop{hop}")
        return socket


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))  # type: ignore[arg-type]
