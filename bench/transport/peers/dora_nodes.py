"""dora: nodes that `dora run` starts; the payload is an Arrow array of bytes, the rest is metadata.

python -m bench.transport.peers.dora_nodes (source | relay | sink NUMBER)
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow
from dora import Node

from bench.transport.ends import Sink, Source, folder, send_all


def main(role: str, number: int = 0) -> None:
    node = Node()
    if role == "source":
        source = Source(folder())
        payload = np.frombuffer(source.task.payload, np.uint8)

        def send(phase: int, number: int, sent_ns: int) -> None:
            said = {"phase": phase, "number": number, "sent_ns": sent_ns}
            node.send_output("data", pyarrow.array(payload), said)

        send_all(source, send)
        return
    sink = Sink(folder(), number) if role == "sink" else None
    for event in node:
        if event["type"] == "STOP":
            return
        if event["type"] != "INPUT":
            continue
        said, value = event["metadata"], event["value"]
        if sink is None:
            node.send_output("data", value, {name: said[name] for name in ("phase", "number", "sent_ns")})
        elif sink.take(said["phase"], said["number"], said["sent_ns"], value.to_numpy()):
            return


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
