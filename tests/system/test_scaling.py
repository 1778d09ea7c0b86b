"""`graph scale` on real graphs under load: nothing is lost, doubled or overtaken, and a session keeps its state."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from .graphs import GraphRun, eventually, graph_run, interrupt
from .test_commands import graph, status

SESSIONS = 24

STREAM = """\
name: demo
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1000000, every_ms: 1, sessions: 24}}}}
  mid: {{use: "tests.system.scaling_actors:Tally", in: {{x: src.out}}, {more}}}
  end: {{use: "tests.system.scaling_actors:Book", in: {{x: mid.out}}, with: {{file: "{folder}/book.txt"}}}}
"""

Line = tuple[str, int, int, str]


def book(folder: Path) -> list[Line]:
    file = folder / "book.txt"
    lines = (
        [line.split() for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")] if file.exists() else []
    )
    return [(session, int(n), int(count), by) for session, n, count, by in lines]


def flows(run: GraphRun) -> None:
    had = len(book(run.folder))
    eventually(lambda: len(book(run.folder)) > had + 300, f"messages flow\n{run.stderr}")


def replicas(run: GraphRun) -> set[str]:
    return {one["instance"] for one in status(run)["instances"] if one["node"] == "mid" and one["health"] == "ready"}


def check_order(lines: list[Line]) -> None:
    """Of every session all, once, in order, and with the state that the one before has left."""
    by_session = defaultdict(list)
    for session, n, count, _ in lines:
        by_session[session].append((n, count))
    assert len(by_session) == SESSIONS
    for session, seen in by_session.items():
        first = int(session.removeprefix("s"))
        assert seen == [(first + SESSIONS * k, k + 1) for k in range(len(seen))], session


def test_a_session_on_a_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    with graph_run(tmp_path, STREAM.format(folder=tmp_path, more="restart: never")) as run:
        run.running()
        flows(run)
        first = run.workers()["mid"].pid
        for count in (3, 2, 4, 1):
            said = graph(run.runtime, "scale", "mid", str(count))
            assert said.returncode == 0, said.stderr + run.stderr
            assert len(replicas(run)) == count
            flows(run)
            assert {by for *_, by in book(tmp_path)[-200:]} == replicas(run)
        assert run.workers()["mid"].pid == first, "the first replica is the same process all the time"
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        for edge in ("src.out->mid.x", "mid.out->end.x"):
            found = run.edge(edge)
            assert found["dropped"] == 0, found
            assert found["sent"] == found["delivered"], found
        run.all_gone()
