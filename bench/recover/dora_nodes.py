"""The same three for dora: python -m bench.recover.dora_nodes (source | relay | sink)"""

from __future__ import annotations

import sys
import time

import numpy as np
import pyarrow
from dora import Node

from bench.recover import ends


def main(role: str) -> None:
    node = Node()
    if role == "source":
        payload = pyarrow.array(np.zeros(1024, np.uint8))
        for number, at_ns in ends.times():
            if number % 10 == 0 and _told_to_stop(node):
                return
            time.sleep(max(0, at_ns - ends.now_ns()) / 1e9)
            node.send_output("data", payload, {"number": number, "sent_ns": ends.now_ns()})
    notes = ends.Notes() if role == "sink" else None
    if role == "relay":
        ends.relay_is_here()
    for event in node:
        if event["type"] == "STOP":
            return
        if event["type"] != "INPUT":
            continue
        said = event["metadata"]
        if notes is None:
            node.send_output("data", event["value"], {"number": said["number"], "sent_ns": said["sent_ns"]})
        else:
            notes.take(said["number"], said["sent_ns"])


def _told_to_stop(node: Node) -> bool:
    event = node.next(timeout=0.0)
    return event is not None and event["type"] == "STOP"


if __name__ == "__main__":
    main(sys.argv[1])
