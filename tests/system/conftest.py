from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest


@pytest.fixture
def unused_ports() -> int:
    """The first of a row of ports that nobody listens on."""
    for first in range(23_000, 32_000, 50):
        with ExitStack() as taken:
            try:
                for port in range(first, first + 20):
                    taken.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no row of free ports")
