"""dora, as `dora run` starts a dataflow.

Two settings of its inputs. `drop_oldest` with room for the whole run is its low-latency way: nodes talk directly to each other.
With `backpressure` every message goes through the daemon, which keeps up to ten times the depth and drops the rest.
For large messages both get a shared memory pool for 64 of them (8 MB at 50/s: 2 ms with it, 18 ms with the
default); for small ones it would only cost memory.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench.transport.arms.base import PeerArm
from bench.transport.cells import MB
from bench.transport.ends import Task

POOL_FROM = MB  # bytes of payload
POOL_PAYLOADS = 64
ROOM = 200  # for warm-up messages beside the counted ones
BACKPRESSURE_DEPTH = 1000  # as deep as a ZeroMQ socket by default


class Dora(PeerArm):
    """Nodes that talk directly, inputs that drop the oldest."""

    name = "dora"
    environment_name = "dora"
    packages = ("dora-rs", "dora-rs-cli", "pyarrow", "numpy")
    policy = "drop_oldest"

    def commands(self, run: Path, task: Task) -> list[list[str]]:
        file = run / "dataflow.yml"
        file.write_text(json.dumps({"nodes": self._nodes(task)}, indent=1))  # JSON is YAML
        return [[str(self.bin / "dora"), "run", str(file)]]

    def environment(self, run: Path, task: Task) -> dict[str, str]:
        return {**super().environment(run, task), "DORA_LOG_LEVEL": "error"}

    def _nodes(self, task: Task) -> list[dict[str, object]]:
        sends: dict[str, object] = {
            "outputs": ["data"],
            **(self._pool(task)),
        }
        nodes = [{"id": "source", **self._runs("source"), **sends}]
        last = "source"
        for hop in range(1, task.hops):
            nodes.append({"id": f"relay{hop}", **self._runs("relay"), **self._hears(last, task), **sends})
            last = f"relay{hop}"
        nodes += [{"id": f"sink{n}", **self._runs("sink", n), **self._hears(last, task)} for n in range(task.sinks)]
        return nodes

    def _runs(self, *role: object) -> dict[str, object]:
        command = self.python("dora_nodes", *role)
        return {"path": command[0], "args": " ".join(command[1:])}

    def _hears(self, node: str, task: Task) -> dict[str, object]:
        return {"inputs": {"data": {"source": f"{node}/data", "queue_size": self._depth(task), "queue_policy": self.policy}}}

    def _pool(self, task: Task) -> dict[str, object]:
        return {"shared_memory_pool_size": f"{task.size // MB * POOL_PAYLOADS}MB"} if task.size >= POOL_FROM else {}

    def _depth(self, task: Task) -> int:
        return task.count + ROOM


class DoraBackpressure(Dora):
    """Inputs that wait as long as there is room; over one hop only, the other shapes are compared with the direct way."""

    name = "dora backpressure"
    policy = "backpressure"
    shapes = frozenset({"1 hop"})

    def _depth(self, task: Task) -> int:
        return BACKPRESSURE_DEPTH
