"""How a relay is replaced in a graph of ours, in a dataflow of dora's, and in a pipeline of Pipecat's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.recover.arms import Arm, Dora, not_installed
from bench.recover.ends import FOLDER_VARIABLE
from bench.transport.arms.base import PEERS
from graph.commands import Apply, CommandClient
from graph.load import load_plan

OURS = """\
name: swap
nodes:
  source: {{use: "bench.recover.nodes:Source"}}
  relay: {{use: "bench.swap.nodes:Relay", in: {{data: {{from: source.out{link}}}}}, with: {{version: {version}}}}}
  sink: {{use: "bench.recover.nodes:Sink", in: {{data: {{from: relay.out{link}}}}}}}
"""
LOOK_S = 0.005


@dataclass(frozen=True)
class Ours(Arm):
    """`graph apply`, over the socket that it uses."""

    def command(self, run: Path) -> list[str]:
        command = super().command(run)
        self._write(run, 0)
        return command

    def _write(self, run: Path, version: int) -> None:
        (run / "graph.yaml").write_text(OURS.format(link=self.link, version=version))

    def swap(self, run: Path, version: int) -> None:
        """Have another version of the relay, and wait until it is there."""
        self._write(run, version)
        (folder,) = (run / "vg").iterdir()
        with CommandClient(folder) as client:
            client.ask(Apply(load_plan(run / "graph.yaml")))
            while client.status().changing:
                time.sleep(LOOK_S)


class DoraReplace(Dora):
    """`dora node replace`, which takes a coordinator and a daemon of their own."""

    def command(self, run: Path) -> list[str]:
        super().command(run)
        return [str(self._bin / "dora"), "start", str(run / "dataflow.yml"), "--name", "swap", "--attach"]

    def swap(self, run: Path, version: int) -> None:
        """Have another incarnation of the relay; returns when dora says that it is there."""
        node = next(one for one in self._nodes() if one["id"] == "relay")
        (run / "relay.yml").write_text(json.dumps({**node, "env": {"VERSION": str(version)}}))
        self._dora(run, "node", "replace", "--dataflow", "swap", "relay", "--from-yaml", str(run / "relay.yml"))

    @contextmanager
    def prepared(self, run: Path) -> Iterator[None]:
        self._dora(run, "up")
        yield  # the bench ends coordinator and daemon with all that takes part

    def _dora(self, run: Path, *arguments: str) -> None:
        command = [str(self._bin / "dora"), *arguments]
        subprocess.run(command, cwd=run, env=self.environment(run), check=True, capture_output=True, timeout=60)

    def environment(self, run: Path) -> dict[str, str]:
        return {**super().environment(run), FOLDER_VARIABLE: str(run), "HOME": os.environ.get("HOME", str(run))}


class PipecatSwitch(Arm):
    """Pipecat's ServiceSwitcher: both relays are objects in the one process from the beginning; a swap turns to the other."""

    def command(self, run: Path) -> list[str]:
        return [str(PEERS / "pipecat" / "bin" / "python"), "-m", "bench.swap.pipecat_nodes"]

    def swap(self, run: Path, version: int) -> None:
        """Switch; returns when the strategy says that the other is active."""
        with socket.socket(socket.AF_UNIX) as orders:
            orders.connect(str(run / "orders"))
            orders.sendall(f"{version}\n".encode())
            orders.recv(16)

    @property
    def missing(self) -> str:
        return not_installed("pipecat")


Swapping: TypeAlias = Ours | DoraReplace | PipecatSwitch

ARMS: tuple[Swapping, ...] = (
    Ours("voicegraph stream"),
    Ours("voicegraph queue", ", link: queue"),
    DoraReplace("dora node replace"),
    PipecatSwitch("Pipecat ServiceSwitcher"),
)
