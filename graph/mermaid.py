"""A plan as a Mermaid flowchart."""

from __future__ import annotations

from graph.node import TELEMETRY
from graph.plan import Edge, Plan


def flowchart(plan: Plan) -> str:
    """Streams are thin arrows, queues thick ones; telemetry and what closes a loop is dotted."""
    names = {node.name: f"n{index}" for index, node in enumerate(plan.nodes)}  # `end` and the like are Mermaid's own words
    lines = ["flowchart LR"]
    for node in plan.nodes:
        replicas = f" × {len(node.instances)}" if len(node.instances) > 1 else ""
        lines.append(f'    {names[node.name]}["{node.name}{replicas}<br/><small>{_text(node.use)}</small>"]')
    for edge in plan.edges:
        lines.append(f"    {names[edge.producer]} {_arrow(edge)} {names[edge.consumer]}")
    return "\n".join(lines)


def _text(use: str) -> str:
    """As Mermaid takes it within quotes: a program may have any arguments."""
    return use.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def _arrow(edge: Edge) -> str:
    if edge.link == "queue":
        return f"== {edge.port} ==>"
    return f"-. {edge.port} .->" if edge.feedback or edge.port == TELEMETRY else f"-- {edge.port} -->"
