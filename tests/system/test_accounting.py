"""Streams that are too fast for their listeners: what was sent was delivered or dropped, to the message, whoever is killed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from graph.links.counts import Counts

from .graphs import GraphRun, eventually, graph_run

A_MINUTE = """\
name: minute
drain_within: 60s
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 60000, every_ms: 1, sessions: 20}}}}
  oldest:
    use: "tests.system.link_actors:SlowAccount"
    in: {{x: {{from: src.out, depth: 50, when_full: drop_oldest}}}}
    with: {{ms: 4, statistics: "{folder}/told"}}
  newest:
    use: "tests.system.link_actors:SlowAccount"
    in: {{x: {{from: src.out, depth: 50, when_full: drop_newest}}}}
    with: {{ms: 4, statistics: "{folder}/told"}}
  shared:
    use: "tests.system.link_actors:SlowAccount"
    in: {{x: {{from: src.out, depth: 50, when_full: drop_oldest}}}}
    with: {{ms: 4, statistics: "{folder}/told"}}
    replicas: 2
  mortal:
    use: "tests.system.link_actors:SlowAccount"
    in: {{x: {{from: src.out, depth: 50, when_full: drop_oldest}}}}
    with: {{ms: 4, statistics: "{folder}/told"}}
    restart: {{max: 1000, within: 60s}}
  mortals:
    use: "tests.system.link_actors:SlowAccount"
    in: {{x: {{from: src.out, depth: 50}}}}
    with: {{ms: 4, statistics: "{folder}/told"}}
    replicas: 2
    restart: {{max: 1000, within: 60s}}
"""


TWO_THAT_DIE = """\
name: deaths
drain_within: 60s
nodes:
  src:
    use: "tests.system.actors:Count"
    with: {{count: 4000, every_ms: 1, sessions: 20}}
    restart: {{max: 1000, within: 60s}}
  slow:
    use: "tests.system.actors:Slow"
    in: {{x: {{from: src.out, depth: 50, when_full: drop_oldest}}}}
    with: {{ms: 3}}
    replicas: 2
    restart: {{max: 1000, within: 60s}}
  end: {{use: "tests.system.link_actors:CollectBoth", in: {{x: slow.out, y: src.out}}, with: {{file: "{folder}/heard.txt"}}}}
"""


def kill(run: GraphRun, names: list[str]) -> None:
    """SIGKILL these, so far as they live."""
    workers = run.workers()
    for name in names:
        if name in workers:
            workers[name].kill()


def sent(run: GraphRun, instance: str) -> int:
    """What the newest life of an instance has sent on `out` so far: its counters lie in a file."""
    files = sorted(run.runtime.rglob(f"{instance}.*.counts"), key=lambda file: int(file.suffixes[-2][1:]))
    counts = Counts.read(files[-1]) if files else None
    return counts.sent().get("out", 0) if counts is not None else 0


def restarts(run: GraphRun, node: str) -> int:
    return sum(n["restarts"] for n in run.report["nodes"] if n["node"] == node)


@pytest.mark.timeout(300)
def test_every_message_of_a_minute_is_accounted_for(tmp_path: Path) -> None:
    chance = random.Random(5)
    with graph_run(tmp_path, A_MINUTE.format(folder=tmp_path)) as run:
        run.running()
        for kills in range(10):
            after = int((kills + chance.random()) * 6000)
            eventually(lambda n=after: sent(run, "src") >= n, "the source goes on")
            kill(run, chance.choice([["mortal"], ["mortals.0"], ["mortals.1"], ["mortal", "mortals.0", "mortals.1"]]))
        assert run.wait() == 0, run.stderr
        for node in ("oldest", "newest", "shared", "mortal", "mortals"):
            edge = run.edge(f"src.out->{node}.x")
            assert edge["sent"] == 60_000
            assert edge["delivered"] + edge["dropped"] == 60_000, (node, edge)
            assert edge["dropped"] > 10_000 < edge["delivered"], "it was slower than what came"
            assert edge["rejected"] == edge["depth"] == 0
        for node in ("oldest", "newest", "shared"):
            told = [json.loads(file.read_text()) for file in tmp_path.glob(f"told.{node}*")]
            edge = run.edge(f"src.out->{node}.x")
            for what in ("delivered", "dropped"):
                assert sum(one[edge["edge"]][what] for one in told) == edge[what], "the nodes say the same"
        assert restarts(run, "mortal") > 0 < restarts(run, "mortals")
        run.all_gone()


@pytest.mark.parametrize("seed", range(3))
def test_all_is_accounted_for_when_producers_and_consumers_are_killed_together(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    groups = [["src"], ["src", "slow.0"], ["slow.0", "slow.1", "src"], ["slow.1"]]
    with graph_run(tmp_path, TWO_THAT_DIE.format(folder=tmp_path)) as run:
        run.running()
        for group in chance.sample(groups, len(groups)):
            after = chance.randrange(100, 1500)
            eventually(lambda n=after: sent(run, "src") >= n, "the source goes on")
            life = len(list(run.runtime.rglob("src.*.counts")))
            kill(run, group)
            if "src" in group:
                eventually(lambda n=life: len(list(run.runtime.rglob("src.*.counts"))) > n, "it is there again")
        assert run.wait() == 0, run.stderr
        for name in ("src.out->slow.x", "slow.out->end.x", "src.out->end.y"):
            edge = run.edge(name)
            assert edge["sent"] == edge["delivered"] + edge["dropped"], edge
        assert restarts(run, "src") >= 2
        run.all_gone()


SHALLOW = """\
name: shallow
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 3000, sessions: 30}}}}
  end:
    use: "tests.system.actors:Collect"
    in: {{x: {{from: src.out, depth: 1}}}}
    with: {{file: "{folder}/heard.txt"}}
    replicas: 2
"""


def test_replicas_that_ask_for_a_depth_of_one_are_all_heard(tmp_path: Path) -> None:
    with graph_run(tmp_path, SHALLOW.format(folder=tmp_path)) as run:
        run.running()
        assert run.wait() == 0, run.stderr
        edge = run.edge("src.out->end.x")
        assert edge["sent"] == 3000 == edge["delivered"] + edge["dropped"]
        assert edge["delivered"] > 0


STARTING = """\
name: starting
nodes:
  src: {{use: "tests.system.link_actors:Halting", with: {{count: 3000, halt_at: 2000, until: "{folder}/go"}}}}
  end:
    use: "tests.system.actors:Collect"
    in: {{x: {{from: src.out, depth: 5000}}}}
    with: {{file: "{folder}/heard.txt"}}
    restart: {{max: 10, within: 60s}}
"""


def test_a_listener_that_is_killed_again_while_it_starts_counts_nothing_twice(tmp_path: Path) -> None:
    with graph_run(tmp_path, STARTING.format(folder=tmp_path)) as run:
        run.running()
        eventually(lambda: sent(run, "src") == 2000, "the first part is sent")
        known = run.workers()["end"].pid
        for _ in range(3):
            kill(run, ["end"])
            eventually(lambda old=known: (p := run.workers().get("end")) is not None and p.pid != old, "a new life starts")
            known = run.workers()["end"].pid
        eventually(lambda: "running again" in run.stderr, "it is there again")
        (tmp_path / "go").touch()
        assert run.wait() == 0, run.stderr
        edge = run.edge("src.out->end.x")
        assert edge["sent"] == 3000 == edge["delivered"] + edge["dropped"]
        run.all_gone()
