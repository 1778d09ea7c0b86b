"""Nodes that die, hang, stop or fail, in real graphs: the rest goes on, and everything is said and counted."""

from __future__ import annotations

import signal
from pathlib import Path

from .graphs import GraphRun, eventually, graph_run, interrupt

GRAPH = """\
name: watched
drain_within: 20s
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: {count}, every_ms: {every_ms}}}}}
  mid:
    use: "tests.system.actors:{mid}"
    in: {{x: {{from: src.out, {link}}}}}
    {options}
  end: {{use: "tests.system.actors:CountingCollect", in: {{x: mid.out}}, with: {{file: "{file}"}}}}
  direct: {{use: "tests.system.actors:CountingCollect", in: {{x: src.out}}, with: {{file: "{direct}"}}}}
"""


def watched(
    folder: Path, options: str = "", mid: str = "Double", link: str = "link: stream", count: int = 200_000, every_ms: float = 1
) -> str:
    """src -> mid -> end, and src -> direct, which goes on whatever happens to mid."""
    file, direct = folder / "heard.txt", folder / "direct.txt"
    return GRAPH.format(options=options, mid=mid, link=link, count=count, every_ms=every_ms, file=file, direct=direct)


def heard(folder: Path, name: str = "heard") -> list[int]:
    return [int(line.split()[1]) for line in (folder / f"{name}.txt").read_text().splitlines()]


def progress(folder: Path, name: str = "heard") -> int:
    file = folder / f"{name}.count"
    return int(file.read_text() or 0) if file.exists() else 0


def goes_on(run: GraphRun, name: str = "heard", more: int = 300) -> None:
    """Wait until a sink has heard so many more."""
    had = progress(run.folder, name)
    eventually(lambda: progress(run.folder, name) >= had + more, f"{name} hears on\n{run.stderr}")


def settled(run: GraphRun, edge: str) -> None:
    """Every message of a stream is accounted for."""
    counted = run.edge(edge)
    assert counted["sent"] == counted["delivered"] + counted["dropped"] + counted["stale"] + counted["rejected"], counted


def test_a_node_that_dies_is_started_again_by_default(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path)) as run:
        run.running()
        goes_on(run)
        run.workers()["mid"].kill()
        eventually(lambda: "mid: running again (life 1)" in run.stderr, "it comes back")
        goes_on(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        assert "warning: mid: died: killed by SIGKILL; starting again now (1 of 5 in 60 s)" in run.stderr
        settled(run, "src.out->mid.x")
        settled(run, "mid.out->end.x")
        run.all_gone()


def test_a_node_that_has_failed_leaves_the_rest_alone(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path, "restart: never")) as run:
        run.running()
        goes_on(run)
        run.workers()["mid"].kill()
        eventually(lambda: "has failed" in run.stderr, "it is said")
        goes_on(run, "direct")
        interrupt(run)
        assert run.wait() == 1, run.stderr
        told = [line for line in run.stderr.splitlines() if "has failed" in line]
        assert told == [
            "error: mid: has failed: died: killed by SIGKILL; the rest of the graph goes on (`graph restart mid` tries again)"
        ], "once"
        assert run.report["failures"] == {"mid": "died: killed by SIGKILL"}
        settled(run, "src.out->mid.x")
        settled(run, "src.out->direct.x")
        assert len(heard(tmp_path)) <= progress(tmp_path) + 100, "what listens to it has ended cleanly"
        run.all_gone()


def test_a_queue_to_a_failed_node_drops_and_counts_instead_of_blocking_its_producer(tmp_path: Path) -> None:
    text = watched(tmp_path, "restart: never", link="link: queue")
    with graph_run(tmp_path, text) as run:
        run.running()
        goes_on(run)
        run.workers()["mid"].kill()
        goes_on(run, "direct", 1000)
        interrupt(run)
        assert run.wait() == 1, run.stderr
        counted = run.edge("src.out->mid.x")
        assert counted["sent"] == counted["delivered"] + counted["dropped"]
        assert counted["dropped"] > 900
        run.all_gone()


def test_at_least_once_holds_for_a_failed_node_and_sets_aside_at_the_end(tmp_path: Path) -> None:
    text = watched(tmp_path, "restart: never", link="link: queue, delivery: at_least_once", count=5000)
    with graph_run(tmp_path, text) as run:
        run.running()
        goes_on(run)
        run.workers()["mid"].kill()
        eventually(lambda: "has failed" in run.stderr, "it has failed")
        interrupt(run)
        assert run.wait() == 1, run.stderr
        counted = run.edge("src.out->mid.x")
        assert counted["sent"] <= counted["delivered"] + counted["dead_lettered"], counted
        assert counted["dead_lettered"] > 0
        assert "set aside" in run.stderr
        run.all_gone()


def test_a_fallback_takes_over(tmp_path: Path) -> None:
    options = "restart: never\n    fallback: small"
    text = watched(tmp_path, options) + '  small: {use: "tests.system.actors:Slow", with: {ms: 0.1}}\n'
    with graph_run(tmp_path, text) as run:
        run.running()
        goes_on(run)
        run.workers()["mid"].kill()
        eventually(lambda: "mid: its fallback is running (life 1)" in run.stderr, "the fallback runs")
        goes_on(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        settled(run, "src.out->mid.x")
        settled(run, "mid.out->end.x")
        run.all_gone()


def test_a_node_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path, "hang_after: 1s", mid="HangsOnce")) as run:
        eventually(lambda: "hung: its handler made no progress for" in run.stderr, "it is seen")
        eventually(lambda: "mid: running again (life 1)" in run.stderr, "it comes back")
        goes_on(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        run.all_gone()


def test_a_stopped_process_is_unresponsive_then_dead(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path, "dead_after: 5s")) as run:
        run.running()
        goes_on(run)
        run.workers()["mid"].send_signal(signal.SIGSTOP)
        eventually(lambda: "mid: unresponsive" in run.stderr, "its silence is seen")
        eventually(lambda: "mid: no sign of life for 5 s; starting again now" in run.stderr, "it is ended")
        goes_on(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        settled(run, "src.out->mid.x")
        run.all_gone()


def test_a_process_that_is_stopped_for_a_while_answers_again(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path)) as run:
        run.running()
        goes_on(run)
        mid = run.workers()["mid"]
        mid.send_signal(signal.SIGSTOP)
        eventually(lambda: "mid: unresponsive" in run.stderr, "its silence is seen")
        mid.send_signal(signal.SIGCONT)
        eventually(lambda: "mid: answers again" in run.stderr, "it is heard again")
        goes_on(run)
        assert run.workers()["mid"].pid == mid.pid
        interrupt(run)
        assert run.wait() == 0, run.stderr
        run.all_gone()


def test_a_killed_supervisor_is_succeeded_without_a_gap(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path, link="link: queue, delivery: at_least_once", count=6000, every_ms=2)) as run:
        run.running()
        goes_on(run)
        pids = {name: p.pid for name, p in run.workers().items()}
        run.process.kill()
        run.wait()
        goes_on(run)
        (tmp_path / "second").mkdir()
        with graph_run(tmp_path / "second", tmp_path / "graph.yaml", XDG_RUNTIME_DIR=str(run.runtime)) as second:
            eventually(lambda: "took over 4 running processes" in second.stderr, "they are adopted")
            goes_on(run)
            assert {name: p.pid for name, p in run.workers().items()} == pids
            assert second.wait() == 0, second.stderr
            assert heard(tmp_path) == [2 * n for n in range(6000)], "no gap, nothing twice"
            assert heard(tmp_path, "direct") == list(range(6000))
            edge = next(e for e in second.report["edges"] if e["edge"] == "src.out->direct.x")
            assert (edge["sent"], edge["delivered"], edge["dropped"]) == (6000, 6000, 0), "also what was before is counted"
        run.all_gone()


def test_who_died_while_there_was_no_supervisor_is_started_again_by_the_next(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path, link="link: queue, delivery: at_least_once", count=6000, every_ms=2)) as run:
        run.running()
        goes_on(run)
        run.process.kill()
        run.wait()
        run.workers()["mid"].kill()
        eventually(lambda: "mid" not in run.workers(), "it is gone")
        (tmp_path / "second").mkdir()
        with graph_run(tmp_path / "second", tmp_path / "graph.yaml", XDG_RUNTIME_DIR=str(run.runtime)) as second:
            eventually(lambda: "mid: running again (life 1)" in second.stderr, f"it is started again {second.stderr}")
            assert second.wait() == 0, second.stderr
            edge = second.edge("src.out->mid.x")
            assert (edge["sent"], edge["dropped"]) == (6000, 0)
            assert edge["delivered"] >= 6000, "what it had in hand when it was killed comes again"
            settled(second, "mid.out->end.x")  # a stream, on which a slow sink may lose something
            assert len(set(heard(tmp_path))) >= 6000 - second.edge("mid.out->end.x")["dropped"]
        run.all_gone()


REPLAYED = """\
name: replayed
nodes:
  src: {{use: "tests.chaos.actors:Replay"}}
  end: {{use: "tests.chaos.actors:Ledger", in: {{x: {{from: src.out, {sure}}}}}, with: {{file: "{folder}/ledger.txt"}}}}
"""


def test_a_graph_of_which_nobody_is_left_goes_on_where_it_was(tmp_path: Path) -> None:
    def ledger() -> list[int]:
        return [int(line) for line in (tmp_path / "ledger.txt").read_text().split()]

    text = REPLAYED.format(folder=tmp_path, sure="link: queue, delivery: at_least_once")
    with graph_run(tmp_path, text) as run:
        run.running()
        eventually(lambda: len(ledger()) > 300, "messages flow")
        run.process.kill()
        run.wait()
        for one in [*run.workers().values(), *run.nurseries()]:
            one.kill()
        eventually(lambda: not run.workers(), "nobody is left")
        had = len(ledger())
        (tmp_path / "second").mkdir()
        with graph_run(tmp_path / "second", tmp_path / "graph.yaml", XDG_RUNTIME_DIR=str(run.runtime)) as second:
            eventually(lambda: "goes on where all processes had died" in second.stderr, f"it goes on {second.stderr}")
            eventually(lambda: len(ledger()) > had + 300, f"messages flow {second.stderr}")
            interrupt(second)
            assert second.wait() == 0, second.stderr
        assert sorted(set(ledger())) == list(range(max(ledger()) + 1))
        assert len(ledger()) - len(set(ledger())) < 200, "it did not begin again"
        run.all_gone()


def test_a_node_that_takes_too_much_memory_is_started_again_with_the_figures(tmp_path: Path) -> None:
    text = watched(tmp_path, "resources: {max_rss: 300MB}", mid="Hungry", every_ms=2)
    with graph_run(tmp_path, text) as run:
        eventually(lambda: "MB are more than max_rss, 300 MB; starting again now (1 of 5 in 60 s)" in run.stderr, "it is ended")
        eventually(lambda: "mid: running again (life 1)" in run.stderr, "it comes back")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        assert run.report["failures"] == {}
        run.all_gone()


def test_a_node_is_started_after_the_one_it_waits_for(tmp_path: Path) -> None:
    with graph_run(tmp_path, watched(tmp_path, "after: [end, src]")) as run:
        run.running()
        began = {name: process.create_time() for name, process in run.workers().items()}
        assert max(began, key=lambda name: began[name]) == "mid"
        goes_on(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
