"""docs/wire-protocol.md is enough to listen to a graph: a process with only pyzmq and msgpack does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .graphs import ROOT, graph_run, short_folder

GRAPH = """\
name: listened
nodes:
  capture: {use: capture.file, with: {path: examples/audio/questions.wav, pace: fast}}
  vad: {use: vad.silero, in: {audio: {from: capture.audio, link: queue}}}
"""


def endpoint_of(node: str, file: Path, runtime: Path) -> str:
    """Where a node will publish, from the plan alone."""
    told = subprocess.run(
        [sys.executable, "-m", "graph.cli", "plan", str(file), "--json"],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    instances: list[dict[str, str]] = json.loads(told.stdout)["instances"]
    return next(i["out"] for i in instances if i["node"] == node)


def listen(endpoint: str) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("listener.py")
    return subprocess.Popen([sys.executable, script, endpoint], stdout=subprocess.PIPE, text=True)


@pytest.mark.models
def test_a_process_with_only_pyzmq_and_msgpack_hears_the_vad(tmp_path: Path) -> None:
    file = tmp_path / "graph.yaml"
    file.write_text(GRAPH)
    with short_folder() as runtime:
        listener = listen(endpoint_of("vad", file, runtime))  # first, so that it is there when the first event comes
        try:
            with graph_run(tmp_path, file, XDG_RUNTIME_DIR=str(runtime)) as run:
                out, _ = listener.communicate(timeout=60)
                assert run.wait() == 0, run.stderr
        finally:
            listener.kill()
            listener.wait()
    said, *lines = out.splitlines()
    assert said == "listening"
    heard: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [h["seq"] for h in heard] == list(range(len(heard)))
    assert {h["topic"].split("/")[0] for h in heard} == {"vad.speech"}
    assert heard[0]["kind"] == "speech.started"
    assert heard[-1]["kind"] == "speech.ended"
    assert heard[-1]["body"]["at"] > heard[0]["body"]["at"] > 0
    assert all(h["v"] == 1 and h["instance"] == "vad" and h["port"] == "speech" for h in heard)


def test_the_listener_knows_nothing_of_voicegraph() -> None:
    text = Path(__file__).with_name("listener.py").read_text()
    imports = [line.split()[1] for line in text.splitlines() if line.startswith(("import", "from"))]
    assert imports == ["__future__", "json", "sys", "msgpack", "zmq"]
