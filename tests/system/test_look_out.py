"""While a handler runs long, the newest of a stream that drops its oldest is kept, not what the sockets could hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from .graphs import graph_run

GRAPH = """\
name: patient
nodes:
  src: {{use: "tests.system.actors:Announce", with: {{count: 1500, every_ms: 1, file: "{file}"}}}}
  end:
    use: "tests.system.actors:Patient"
    in: {{x: {{from: src.out, depth: 5, when_full: drop_oldest}}}}
    with: {{file: "{file}"}}
"""


def test_the_newest_is_kept_while_a_handler_runs_long(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(file=tmp_path / "heard.txt")) as run:
        assert run.wait() == 0, run.stderr
        first, *later = [int(line.split()[1]) for line in (tmp_path / "heard.txt").read_text().splitlines()]
        assert first == 0
        assert later[0] > 1000, "left in the sockets, the first two hundred would have been kept"
        edge = run.edge("src.out->end.x")
        assert edge["sent"] == 1500 == edge["delivered"] + edge["dropped"]
        run.all_gone()


TIRED = """\
name: tired
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1500, every_ms: 1}}}}
  slow: {{use: "tests.system.actors:Slow", in: {{x: {{from: src.out, depth: 4, when_full: drop_oldest}}}}, with: {{ms: {ms}}}}}
  end: {{use: "tests.system.actors:Collect", in: {{x: slow.out}}, with: {{file: "{file}"}}}}
"""


@pytest.mark.parametrize("ms", [0.5, 5, 50])
def test_the_newest_is_kept_by_a_node_that_is_always_too_slow(tmp_path: Path, ms: float) -> None:
    with graph_run(tmp_path, TIRED.format(ms=ms, file=tmp_path / "heard.txt")) as run:
        assert run.wait() == 0, run.stderr
        heard = [int(line.split()[1]) // 2 for line in (tmp_path / "heard.txt").read_text().splitlines()]
        edge = run.edge("src.out->slow.x")
        assert edge["sent"] == 1500 == edge["delivered"] + edge["dropped"]
        assert heard == sorted(heard)
        assert heard[-1] > 1300, "left in the sockets, what came first would have been kept"
        if ms > 1:
            assert edge["depth_max"] == 4
        run.all_gone()
