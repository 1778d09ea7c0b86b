"""Listens to `vad.speech` of a running graph with nothing but pyzmq and msgpack, as docs/wire-protocol.md says.

usage: listener.py ENDPOINT; prints one JSON object a message, until the stream has been silent for a while.
"""

from __future__ import annotations

import json
import sys

import msgpack
import zmq

SILENCE_MS = 15_000

listener = zmq.Context().socket(zmq.SUB)
listener.reconnect_ivl = 10  # ms; the graph may not have started yet
listener.subscribe("vad.speech/")
listener.connect(sys.argv[1])
print("listening", flush=True)
while listener.poll(SILENCE_MS):
    topic, frame, *payload = listener.recv_multipart()
    header = msgpack.unpackb(frame)
    heard = {**header, "topic": topic.decode(), "payload": sum(map(len, payload))}
    print(json.dumps(heard), flush=True)
    if header["kind"] == "speech.ended":
        break
