"""A message that kills whoever takes it is set aside with its cause, and the graph goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .graphs import graph_run

GRAPH = """\
name: poison
drain_within: 60s
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 300, sessions: 7}}}}
  mid:
    use: "tests.system.link_actors:Poisoned"
    in: {{x: {{from: src.out, link: queue, delivery: at_least_once, order: {order}, give_up_after: 3}}}}
    with: {{deadly: 137}}
    replicas: {replicas}
    restart: {{max: 10, within: 60s}}
  end:
    use: "tests.system.actors:Collect"
    in: {{x: {{from: mid.out, link: queue, delivery: at_least_once}}}}
    with: {{file: "{file}"}}
"""


@pytest.mark.parametrize(("replicas", "order"), [(1, "none"), (2, "session")])
def test_a_message_that_kills_its_takers_is_set_aside_and_the_rest_is_handled_once(
    tmp_path: Path, replicas: int, order: str
) -> None:
    with graph_run(tmp_path, GRAPH.format(file=tmp_path / "heard.txt", replicas=replicas, order=order)) as run:
        assert run.wait() == 0, run.stderr
        heard = [int(line.split()[1]) for line in (tmp_path / "heard.txt").read_text().splitlines()]
        assert sorted(heard) == [2 * n for n in range(300) if n != 137]
        letters = [json.loads(line) for file in tmp_path.rglob("src.jsonl") for line in file.read_text().splitlines()]
        assert len(letters) == 1
        (letter,) = letters
        assert letter["edge"] == "src.out->mid.x"
        assert letter["header"]["body"] == {"n": 137}
        assert letter["header"]["cause"] == ["src~0", 137, 0, 0]
        assert letter["header"]["session"] == "s4"
        assert len(letter["killed"]) == 3
        assert all(name.startswith("mid") for name in letter["killed"])
        edge = run.edge("src.out->mid.x")
        assert edge["dead_lettered"] == 1
        assert sum(n["restarts"] for n in run.report["nodes"]) == 3, "nobody else was blamed, and nobody died for nothing"
        assert "is set aside in " in run.stderr
        run.all_gone()
