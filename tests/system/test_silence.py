"""A node is told when an input falls silent, when it is heard again, and when it has ended: in its place among the messages."""

from __future__ import annotations

from pathlib import Path

from .graphs import graph_run

SILENT = """\
name: silent
nodes:
  src: {{use: "tests.system.link_actors:Halting", with: {{count: 20, halt_at: 10, until: "{folder}/heard.silent"}}}}
  end:
    use: "tests.system.link_actors:Watchful"
    in: {{x: {{from: src.out, link: {link}, input_timeout: 200ms}}}}
    with: {{file: "{folder}/heard.txt"}}
"""


def test_an_input_falls_silent_and_is_heard_again(tmp_path: Path) -> None:
    for link in ("stream", "queue"):
        folder = tmp_path / link
        folder.mkdir()
        with graph_run(folder, SILENT.format(folder=folder, link=link)) as run:
            assert run.wait() == 0, run.stderr
            heard = (folder / "heard.txt").read_text().splitlines()
            numbers = [f"default {n}" for n in range(20)]
            assert heard[: heard.index("end x")] == [*numbers[:10], "silent x", "back x", *numbers[10:]]
            assert run.edge("src.out->end.x")["silent"] == 1
            assert "warning: end: input 'x': nothing from src.out for 0.2 s" in run.stderr
            assert "warning: end: input 'x': src.out is heard again" in run.stderr
            run.all_gone()


ENDS = """\
name: ends
nodes:
  brief: {{use: "tests.system.actors:Count", with: {{count: 500, sessions: 9}}}}
  long: {{use: "tests.system.link_actors:Halting", with: {{count: 1000, halt_at: 400, until: "{folder}/heard.end-y"}}}}
  mid: {{use: "tests.system.actors:Double", in: {{x: {{from: brief.out, depth: 5000}}}}, replicas: 3}}
  end:
    use: "tests.system.link_actors:Watchful"
    in:
      x: [{{from: long.out, depth: 5000}}, {{from: mid.out, link: {link}}}]
      y: {{from: mid.out, depth: 5000}}
    with: {{file: "{folder}/heard.txt"}}
"""


def test_an_input_has_ended_when_the_last_of_all_its_producers_has(tmp_path: Path) -> None:
    """`long` goes on only when the node was told that `y` has ended: so it was told at once, and of `x` only at the end."""
    with graph_run(tmp_path, ENDS.format(folder=tmp_path, link="queue")) as run:
        assert run.wait() == 0, run.stderr
        heard = (tmp_path / "heard.txt").read_text().splitlines()
        assert [line for line in heard if line.startswith("end")] == ["end y", "end x"]
        assert heard[-1] == "end x"
        of_y = [k for k, line in enumerate(heard) if line.startswith("y ")]
        assert sorted(int(heard[k].split()[1]) for k in of_y) == [2 * n for n in range(500)], "from the first to the last"
        assert max(of_y) < heard.index("end y")
        assert len(heard) == 500 + 500 + 1000 + 2
        for name in ("brief.out->mid.x", "mid.out->end.y", "mid.out->end.x", "long.out->end.x"):
            edge = run.edge(name)
            assert edge["sent"] == edge["delivered"]
            assert edge["dropped"] == 0
        run.all_gone()
