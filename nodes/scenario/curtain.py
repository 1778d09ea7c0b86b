"""The source of a scenario's graph: it only lasts."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from graph.node import Node, NodeConfig, Output, Step, Until
from nodes.scenario.base import Begin


class CurtainConfig(NodeConfig):
    longest_s: float = Field(900, gt=0, description="it falls by itself, where whoever holds the scenario was killed")


class Curtain(Node):
    """Says once that the graph is ready, and lasts until the graph is drained: the user listens, and so cannot be a source."""

    Config = CurtainConfig
    config: CurtainConfig

    begin = Output(Begin)

    def run(self) -> Iterator[Step]:
        yield self.begin(Begin())
        yield Until(self.runtime.now_ns() + round(self.config.longest_s * 1e9))  # woken when it is asked to stop
