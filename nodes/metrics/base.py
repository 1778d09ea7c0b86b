"""The metrics family: nodes that listen to the telemetry of others."""

from __future__ import annotations

from graph.message import Mark
from graph.node import Input, Node


class MetricsNode(Node):
    """Hears the telemetry of the graph, usually of all its nodes: `in: {marks: "*.telemetry"}`."""

    extra = "metrics"
    marks = Input(Mark)
