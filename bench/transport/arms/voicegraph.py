"""Our own arms: `graph run` on a file like any other, over a stream or over a queue."""

from __future__ import annotations

import json
import sys
from functools import cached_property
from importlib import metadata
from pathlib import Path

from bench.transport.arms.base import ROOT, Arm
from bench.transport.ends import Task


class VoicegraphStream(Arm):
    """Nodes on streams, with the defaults of a link."""

    name = "voicegraph stream"
    link = "stream"

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        file = run / "bench.yaml"
        file.write_text(graph_file(run, task, self.link))
        return [[sys.executable, "-m", "graph.cli", "run", str(file), "--quiet", "--no-pull"]]

    def environment(self, run: Path, task: Task) -> dict[str, str]:
        return {**super().environment(run, task), "XDG_RUNTIME_DIR": str(run), "XDG_STATE_HOME": str(run / "state")}

    def folder(self, run: Path) -> Path:
        return ROOT

    @cached_property
    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in ("voicegraph", "pyzmq", "msgspec")}


class VoicegraphQueue(VoicegraphStream):
    """Nodes on queues; each message goes to one, so there is no fan-out."""

    name = "voicegraph queue"
    link = "queue"
    shapes = frozenset({"1 hop", "3 hops"})


def graph_file(run: Path, task: Task, link: str) -> str:
    """A graph of a source, relays and sinks; JSON is YAML, which spares a writer."""
    nodes: dict[str, object] = {"source": {"use": "bench.transport.nodes:Source", "with": {"run": str(run)}}}
    last = "source"
    for hop in range(1, task.hops):
        nodes[f"relay{hop}"] = {"use": "bench.transport.nodes:Relay", "in": {"data": {"from": f"{last}.out", "link": link}}}
        last = f"relay{hop}"
    for number in range(task.sinks):
        nodes[f"sink{number}"] = {
            "use": "bench.transport.nodes:Sink",
            "in": {"data": {"from": f"{last}.out", "link": link}},
            "with": {"run": str(run), "number": number},
        }
    return json.dumps({"name": "transport-bench", "nodes": nodes}, indent=1)
