"""at_least_once: workers are killed at random, and every message has its effect exactly once, in the order of its session."""

from __future__ import annotations

import random
from pathlib import Path

import psutil
import pytest

from .graphs import GraphRun, eventually, graph_run

MESSAGES = 100_000
SESSIONS = 40
KILLS = 10

GRAPH = """\
name: ledger
drain_within: 60s
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: {count}, sessions: {sessions}}}}}
  mid:
    use: "tests.system.actors:Double"
    in: {{x: {{from: src.out, link: queue, delivery: at_least_once, order: session}}}}
    replicas: 3
    restart: {{max: 100, within: 60s}}
  end:
    use: "tests.system.actors:{end}"
    in: {{x: {{from: mid.out, link: queue, delivery: at_least_once}}}}
    with: {{file: "{file}"}}
"""


def kill_one(run: GraphRun, chance: random.Random) -> None:
    """SIGKILL a random worker that lives."""
    workers = [p for name, p in run.workers().items() if name.startswith("mid")]
    if workers:
        chance.choice(workers).kill()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("end", ["CountingCollect", "SlowCountingCollect"])
def test_every_message_has_its_effect_once_and_in_order_while_workers_are_killed(tmp_path: Path, end: str) -> None:
    chance = random.Random(3)
    progress = tmp_path / "heard.count"
    text = GRAPH.format(count=MESSAGES, sessions=SESSIONS, end=end, file=tmp_path / "heard.txt")
    with graph_run(tmp_path, text) as run:
        run.running()
        worst = 0
        for kill in range(KILLS):
            after = (kill + chance.random()) * MESSAGES / (KILLS + 1)
            eventually(lambda n=after: progress.exists() and int(progress.read_text() or 0) >= n, "the sink goes on")
            worst = max(worst, *(memory(p) for p in run.workers().values()))
            kill_one(run, chance)
        assert run.wait() == 0, run.stderr
        assert "warning: mid" in run.stderr
        heard = [line.split() for line in (tmp_path / "heard.txt").read_text().splitlines()]
        assert sorted(int(n) for _, n in heard) == [2 * n for n in range(MESSAGES)], "each exactly once"
        for session in range(SESSIONS):
            of_it = [int(n) for s, n in heard if s == f"s{session}"]
            assert of_it == sorted(of_it), "in order"
        first, second = run.edge("src.out->mid.x"), run.edge("mid.out->end.x")
        assert first["sent"] == MESSAGES
        assert first["resent"] > 0
        assert second["delivered"] == MESSAGES
        assert second["duplicates"] > 0
        assert first["depth_max"] <= 64 >= second["depth_max"]
        assert worst < 150e6, "what is kept is bounded"
        assert sum(n["restarts"] for n in run.report["nodes"]) == KILLS
        run.all_gone()


def memory(process: psutil.Process) -> int:
    """Resident bytes; 0 of a process that is gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
