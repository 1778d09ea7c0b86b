"""`graph scale` on real graphs under load: nothing is lost, doubled or overtaken, and a session keeps its state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from .graphs import GraphRun, eventually, graph_run, interrupt
from .test_commands import graph, health, status

SESSIONS = 24

STREAM = """\
name: demo
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1000000, every_ms: 1, sessions: 24}}}}
  mid: {{use: "tests.system.scaling_actors:Tally", in: {{x: src.out}}, {more}}}
  end: {{use: "tests.system.scaling_actors:Book", in: {{x: mid.out}}, with: {{file: "{folder}/book.txt"}}}}
"""

Line = tuple[str, int, int, str]


def book(folder: Path, name: str = "book.txt") -> list[Line]:
    file = folder / name
    lines = (
        [line.split() for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")] if file.exists() else []
    )
    return [(session, int(n), int(count), by) for session, n, count, by, _ in lines]


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


QUEUE = """\
name: demo
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1000000, every_ms: 1, sessions: 24}}}}
  mid:
    use: "tests.system.scaling_actors:Tally"
    in: {{x: {{from: src.out, link: queue, order: session{sure}}}}}
  end:
    use: "tests.system.scaling_actors:Book"
    in: {{x: {{from: mid.out, link: queue{sure}}}}}
    with: {{file: "{folder}/book.txt"}}
"""


@pytest.mark.parametrize("sure", ["", ", delivery: at_least_once"])
def test_what_is_on_a_queue_is_done_once_and_in_order_of_its_session(tmp_path: Path, sure: str) -> None:
    with graph_run(tmp_path, QUEUE.format(folder=tmp_path, sure=sure)) as run:
        run.running()
        flows(run)
        for count in (3, 1, 2):
            said = graph(run.runtime, "scale", "mid", str(count))
            assert said.returncode == 0, said.stderr + run.stderr
            flows(run)
            assert {by for *_, by in book(tmp_path)[-200:]} == replicas(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        lines = book(tmp_path)
        assert sorted(n for _, n, _, _ in lines) == list(range(len(lines))), "each once"
        by_taker = defaultdict(list)
        for session, n, _, by in lines:
            by_taker[session, by].append(n)
        assert all(numbers == sorted(numbers) for numbers in by_taker.values()), "in order, as far as one taker goes"
        assert run.edge("src.out->mid.x")["dropped"] == run.edge("mid.out->end.x")["dropped"] == 0
        run.all_gone()


def test_a_replica_that_cannot_load_changes_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    text = STREAM.format(folder=tmp_path, more=f'restart: never, with: {{broken: "{broken}"}}')
    with graph_run(tmp_path, text) as run:
        run.running()
        flows(run)
        broken.touch()
        said = graph(run.runtime, "scale", "mid", "2")
        why = "not done: mid.1: there is no model: pull it first; the graph goes on as it was\n"
        assert (said.returncode, said.stderr) == (1, why)
        eventually(lambda: set(run.workers()) == {"src", "mid", "end"}, "the new one has gone")
        flows(run)
        broken.unlink()
        assert graph(run.runtime, "scale", "mid", "2").stdout == "'mid' has 2 replicas\n"
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        assert run.edge("src.out->mid.x")["dropped"] == 0


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[GraphRun]:
    """A graph in the middle of a change: the new replica is still loading, as long as the file `busy` is there."""
    busy = tmp_path / "busy"
    text = STREAM.format(folder=tmp_path, more=f'with: {{busy: "{busy}"}}')
    with graph_run(tmp_path, text) as run:
        run.running()
        flows(run)
        busy.touch()
        assert graph(run.runtime, "scale", "mid", "2", "--no-wait").stdout == "'mid' gets 2 replicas\n"
        eventually(lambda: health(run).get("mid.1") == "loading", "it loads")
        flows(run)
        yield run


def test_a_replica_may_load_for_longer_than_its_buffers_hold(meeting: GraphRun) -> None:
    had = len(book(meeting.folder))
    eventually(lambda: len(book(meeting.folder)) > had + 7000, "much flows while it loads")
    (meeting.folder / "busy").unlink()
    eventually(lambda: status(meeting)["change"]["stage"] == "done", f"it is done\n{meeting.stderr}")
    flows(meeting)
    interrupt(meeting)
    assert meeting.wait() == 0, meeting.stderr
    check_order(book(meeting.folder))
    assert meeting.edge("src.out->mid.x")["dropped"] == 0


@pytest.mark.parametrize("victim", ["src", "mid.1", "end"])
def test_whoever_dies_in_a_change_it_is_done_all_the_same(meeting: GraphRun, victim: str) -> None:
    meeting.workers()[victim].kill()
    eventually(lambda: health(meeting)[victim] in ("ready", "busy", "loading"), f"it is there again\n{meeting.stderr}")
    (meeting.folder / "busy").unlink()
    eventually(lambda: status(meeting)["change"]["stage"] == "done", f"it is done\n{meeting.stderr}")
    flows(meeting)
    assert {by for *_, by in book(meeting.folder)[-200:]} == {"mid", "mid.1"}
    interrupt(meeting)
    assert meeting.wait() == 0, meeting.stderr
    for name in ("src.out->mid.x", "mid.out->end.x"):
        edge = meeting.edge(name)
        assert edge["sent"] == edge["delivered"] + edge["dropped"], edge
    if victim == "mid.1":
        check_order(book(meeting.folder))
    meeting.all_gone()


def test_a_change_outlives_the_supervisor(meeting: GraphRun) -> None:
    pids = {name: process.pid for name, process in meeting.workers().items()}
    meeting.process.kill()
    meeting.process.wait()
    (meeting.folder / "busy").unlink()
    flows(meeting)
    with graph_run(meeting.folder, meeting.folder / "graph.yaml", XDG_RUNTIME_DIR=str(meeting.runtime)) as second:
        eventually(lambda: "\ndone: a change that was under way" in second.stderr, f"it is done {second.stderr}")
        flows(meeting)
        assert {name: process.pid for name, process in meeting.workers().items()} == pids, second.stderr
        assert {by for *_, by in book(meeting.folder)[-200:]} == {"mid", "mid.1"}
        interrupt(second)
        assert second.wait() == 0, second.stderr
    check_order(book(meeting.folder))
    meeting.all_gone()


def test_ctrl_c_in_a_change_undoes_it_and_drains(meeting: GraphRun) -> None:
    interrupt(meeting)
    assert meeting.wait() == 0, meeting.stderr
    assert "not done: 'mid' gets 2 replicas instead of 1: the graph is ending; the graph goes on as it was" in meeting.stderr
    check_order(book(meeting.folder))
    meeting.all_gone()


def test_what_cannot_be_scaled_is_told(tmp_path: Path) -> None:
    with graph_run(tmp_path, STREAM.format(folder=tmp_path, more="restart: never")) as run:
        run.running()
        said = graph(run.runtime, "scale", "mid", "1")
        assert (said.returncode, said.stderr) == (1, "'mid' has 1 replica already\n")
        said = graph(run.runtime, "scale", "midd", "2")
        assert (said.returncode, said.stderr) == (2, "the graph 'demo' has no node 'midd' (did you mean 'mid'?)\n")


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


def test_a_source_gets_replicas_and_loses_them_again(tmp_path: Path) -> None:
    with graph_run(tmp_path, STREAM.format(folder=tmp_path, more="restart: never")) as run:
        run.running()
        flows(run)
        for count in ("2", "1"):
            said = graph(run.runtime, "scale", "src", count)
            assert said.returncode == 0, said.stderr + run.stderr
            flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        for edge in ("src.out->mid.x", "mid.out->end.x"):
            found = run.edge(edge)
            assert found["dropped"] == 0, found
            assert found["sent"] == found["delivered"], found
        run.all_gone()
