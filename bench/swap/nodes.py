"""The relay of our arms: a version of it is another process."""

from __future__ import annotations

from bench.recover.nodes import Relay as _Relay
from graph.node import NodeConfig


class RelayConfig(NodeConfig):
    version: int = 0


class Relay(_Relay):
    """Passes each message on."""

    Config = RelayConfig
    config: RelayConfig
