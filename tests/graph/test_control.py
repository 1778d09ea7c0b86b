"""The control plane's two ends, over a real socket."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from graph.control import BEAT_MS, Beat, ControlClient, ControlServer, Drain, Failed, Heard, Warned


class Supervised:
    """A node's end with or without a supervisor at the other."""

    def __init__(self, folder: Path, orphan_after_s: float = 30) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.endpoint = f"ipc://{folder}/control"
        self.client = ControlClient(self.endpoint, "a", Beat, lambda: None, orphan_after_s, 60)

    def answer_beat(self, server: ControlServer) -> None:
        """Hear what the node says until it beats, and answer."""
        beaten = False
        while not beaten:
            assert server.socket.poll(5000), "it does not beat"
            beaten = any(isinstance(message, Beat) for _, message in server.receive())
        server.send("a", Heard())


@contextmanager
def server_of(node: Supervised) -> Iterator[ControlServer]:
    server = ControlServer(node.context, node.endpoint)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Supervised]:
    made = Supervised(tmp_path, orphan_after_s=1)
    yield made
    made.client.close()
    made.context.term()


def test_the_last_words_of_a_node_that_fails_at_once_are_heard(tmp_path: Path) -> None:
    context: zmq.Context[Any] = zmq.Context()
    server = ControlServer(context, f"ipc://{tmp_path}/control")
    for _ in range(20):
        client = ControlClient(f"ipc://{tmp_path}/control", "a", Beat, lambda: None, 30, 30)
        client.send(Failed("no microphone"))
        client.close()
        heard = []
        while server.socket.poll(200):
            heard += [message for _, message in server.receive()]
        assert heard[-1:] == [Failed("no microphone")]
    server.close()
    context.term()


def test_without_a_supervisor_what_waits_costs_no_processor(node: Supervised) -> None:
    node.client.send(Warned("quiet"))
    began_s = time.process_time()
    assert zmq.select([node.client.wake], [], [], timeout=10)[0], "it never felt orphaned"
    assert time.process_time() - began_s < 0.5, "seconds of processor for one second of waiting"
    assert list(node.client.taken()) == [Drain()]


def test_a_node_that_could_not_beat_for_long_is_no_orphan(node: Supervised) -> None:
    """A native call that holds the interpreter's lock stops the beats, and the supervisor answers only beats."""
    with server_of(node) as server:
        node.answer_beat(server)
        assert not server.socket.poll(BEAT_MS // 4)  # the answer has been read, the next beat is not due
        ctypes.PyDLL(None).sleep(2)
        for _ in range(2):  # by the second it has drawn its conclusions from the silence
            node.answer_beat(server)
        assert not node.client.orphaned
