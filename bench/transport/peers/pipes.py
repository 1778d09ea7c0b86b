"""multiprocessing.Pipe: for each message the header's bytes, then the payload's; to N sinks it is sent N times.

python -m bench.transport.peers.pipes       is the source; relays and sinks are its children
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import msgpack

from bench.transport.ends import Sink, Source, Task, folder, send_all


def main() -> None:
    context = multiprocessing.get_context("fork")
    run = folder()
    task = Task.load(run)
    outs: list[Any] = []
    for number in range(task.sinks):
        reader, writer = context.Pipe(duplex=False)
        outs.append(writer)
        for _ in range(task.hops - 1):
            next_reader, next_writer = context.Pipe(duplex=False)
            context.Process(target=_relay, args=(reader, next_writer), daemon=True).start()
            reader = next_reader
        context.Process(target=_sink, args=(reader, number)).start()
    source = Source(run)
    payload = source.task.payload

    def send(phase: int, number: int, sent_ns: int) -> None:
        header = msgpack.packb({"v": 1, "kind": "bench.sample", "phase": phase, "number": number, "sent_ns": sent_ns})
        for out in outs:
            out.send_bytes(header)
            out.send_bytes(payload)

    try:
        send_all(source, send)
    except BrokenPipeError:  # the sink has left with what it wanted
        return


def _relay(into: Connection, out: Connection) -> None:
    while True:
        out.send_bytes(msgpack.packb(msgpack.unpackb(into.recv_bytes())))
        out.send_bytes(into.recv_bytes())


def _sink(into: Connection, number: int) -> None:
    sink = Sink(folder(), number)
    while not sink.over:
        header, body = msgpack.unpackb(into.recv_bytes()), into.recv_bytes()
        sink.take(header["phase"], header["number"], header["sent_ns"], body)


if __name__ == "__main__":
    main()
