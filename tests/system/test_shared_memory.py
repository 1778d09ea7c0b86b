"""10,000 large payloads to eight listeners through a ring that is too small, while readers and the writer are killed."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from graph.links.counts import Counts

from .graphs import GraphRun, eventually, graph_run

GRAPH = """\
name: large
shared_memory: {memory}
drain_within: 60s
nodes:
  src:
    use: "tests.system.large:Large"
    with: {{count: {count}, folder: "{folder}"}}
    restart: {{max: 100, within: 60s}}
  one:
    use: "tests.system.large:Check"
    in: {{x: {{from: src.out, depth: 8, when_full: drop_oldest}}}}
    with: {{folder: "{folder}", keep: 3}}
    restart: {{max: 100, within: 60s}}
  two: {{use: "tests.system.large:Check", in: {{x: {{from: src.out, depth: 8}}}}, with: {{folder: "{folder}", keep: 0}}}}
  three: {{use: "tests.system.large:Check", in: {{x: {{from: src.out, depth: 8}}}}, with: {{folder: "{folder}"}}}}
  four: {{use: "tests.system.large:Check", in: {{x: {{from: src.out, depth: 8}}}}, with: {{folder: "{folder}", keep: 5}}}}
  jobs:
    use: "tests.system.large:Check"
    in: {{x: {{from: src.out, link: queue, depth: 4, when_full: drop_oldest}}}}
    with: {{folder: "{folder}"}}
    restart: {{max: 100, within: 60s}}
  many:
    use: "tests.system.large:Check"
    in: {{x: {{from: src.out, depth: 8}}}}
    with: {{folder: "{folder}"}}
    replicas: 3
    restart: {{max: 100, within: 60s}}
"""
LISTENERS = ["one", "two", "three", "four", "jobs", "many"]


def sent(run: GraphRun, life: int) -> int:
    file = next(run.runtime.rglob(f"src.{life}.counts"), None)
    counts = None if file is None else Counts.read(file)
    return counts.sent()["out"] if counts is not None else 0


def kill(run: GraphRun, *names: str) -> None:
    workers = run.workers()
    for name in names:
        if name in workers:
            workers[name].kill()


def whole(folder: Path, run: GraphRun) -> None:
    """What must be true of any run, however it went."""
    assert [file.name for file in folder.glob("torn.*")] == []
    for name in LISTENERS:
        edge = run.edge(f"src.out->{name}.x")
        assert edge["sent"] == edge["delivered"] + edge["dropped"], edge


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no memory file system")
def test_nothing_is_torn_and_nothing_stays_behind_whoever_is_killed(tmp_path: Path) -> None:
    chance = random.Random(2)
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path, count=10_000, memory="6MB")) as run:
        run.running()
        rings = next(run.runtime.rglob("rings")).resolve()
        assert rings.parent == Path("/dev/shm")
        for life, ends_at in enumerate((1500, 2500)):  # the writer is killed, and readers before it
            for name in ("one", "jobs"):
                eventually(lambda n=life: sent(run, n) > chance.randrange(500), "payloads flow")
                kill(run, name)
            eventually(lambda n=life, s=ends_at: sent(run, n) > s, "payloads flow")
            kill(run, "src")
        for k in range(6):
            eventually(lambda n=k: sent(run, 2) > 1000 + n * 1200, "payloads flow")
            kill(run, *chance.choice([["one"], ["many.0", "many.2"], ["jobs"], ["many.1", "one"]]))
            assert not list(rings.glob("src.0.*.ring")), "what the writer's former life had is given back"
        assert run.wait() == 0, run.stderr
        whole(tmp_path, run)
        ring = json.loads((tmp_path / "ring.json").read_text())
        assert ring["written"] > 1000, "the ring was used"
        assert ring["full"] > 0, "and it was full"
        for name in ("two", "three", "four"):
            seen = json.loads((tmp_path / f"seen.{name}").read_text())
            assert seen["ring"] > 1000, seen
        run.all_gone()
        assert not rings.exists(), "nothing is left in /dev/shm"
