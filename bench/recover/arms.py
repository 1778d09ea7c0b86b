"""How ours and dora are started, and where their supervisor is."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.recover.ends import FOLDER_VARIABLE
from bench.transport.arms.base import INSTALLED, PEER_HINT, PEERS, ROOT

OURS = """\
name: recover
nodes:
  source: {{use: "bench.recover.nodes:Source"}}
  relay: {{use: "bench.recover.nodes:Relay", in: {{data: {{from: source.out{link}}}}}}}
  sink: {{use: "bench.recover.nodes:Sink", in: {{data: {{from: relay.out{link}}}}}}}
"""


@dataclass(frozen=True)
class Arm:
    """One way to run source -> relay -> sink."""

    name: str
    link: str = ""  # of ours

    def command(self, run: Path) -> list[str]:
        (run / "graph.yaml").write_text(OURS.format(link=self.link))
        return [sys.executable, "-m", "graph.cli", "run", "-q", str(run / "graph.yaml")]

    def environment(self, run: Path) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "PYTHONPATH": path, FOLDER_VARIABLE: str(run), "XDG_RUNTIME_DIR": str(run)}

    @contextmanager
    def prepared(self, run: Path) -> Iterator[None]:
        """What has to be there around a run."""
        yield

    @property
    def missing(self) -> str:
        return ""


class Dora(Arm):
    """`dora run`, in which coordinator and daemon are threads of one process; a node that fails is started again."""

    @property
    def _bin(self) -> Path:
        return PEERS / "dora" / "bin"

    def command(self, run: Path) -> list[str]:
        (run / "dataflow.yml").write_text(json.dumps({"nodes": list(self._nodes())}))  # JSON is YAML
        return [str(self._bin / "dora"), "run", str(run / "dataflow.yml")]

    def _nodes(self) -> list[dict[str, object]]:
        def runs(role: str) -> dict[str, object]:
            return {"id": role, "path": str(self._bin / "python"), "args": f"-m bench.recover.dora_nodes {role}"}

        def hears(node: str) -> dict[str, object]:
            return {"inputs": {"data": {"source": f"{node}/data", "queue_size": 1000}}}

        sends: dict[str, object] = {"outputs": ["data"]}
        again: dict[str, object] = {"restart_policy": "on-failure"}
        return [
            {**runs("source"), **sends},
            {**runs("relay"), **hears("source"), **sends, **again},
            {**runs("sink"), **hears("relay")},
        ]

    def environment(self, run: Path) -> dict[str, str]:
        return {**super().environment(run), "DORA_LOG_LEVEL": "error"}

    @property
    def missing(self) -> str:
        return not_installed("dora")


def not_installed(peer: str) -> str:
    """Why a peer cannot take part; empty where it can."""
    return "" if (PEERS / peer / INSTALLED).exists() else f"not installed: {PEER_HINT}"


ARMS = (
    Arm("voicegraph stream"),
    Arm("voicegraph queue, at least once", ", link: queue, delivery: at_least_once"),
    Dora("dora"),
)
