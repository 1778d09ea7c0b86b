"""What processes write down, in real graphs: their own lines, what libraries print, deaths, rotation, and `graph logs`."""

from __future__ import annotations

import json
from pathlib import Path

from .graphs import GraphRun, eventually, graph_run, interrupt, short_folder
from .test_commands import graph, status

GRAPH = """\
name: wordy
drain_within: 60s
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 100000, every_ms: 5}}}}
  mid: {{use: "tests.system.actors:Wordy", in: {{x: {{from: src.out, depth: 10}}}}, with: {{junk: {junk}}}}}
"""


def shown(run: GraphRun, *options: str) -> list[dict[str, object]]:
    """`graph logs --json`."""
    told = graph(run.runtime, "logs", "wordy", "--json", *options, state=run.folder / "state")
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_all_that_is_said_is_found_in_one_place(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(junk=0)) as run:
        run.running()
        eventually(lambda: any(line["event"] == "by the node" for line in shown(run)), "it is logged")
        lines = {str(line["event"]): line for line in shown(run, "--node", "mid")}
        assert lines["loaded"]["instance"] == "mid"
        assert (lines["by the node"]["level"], lines["by the node"]["n"]) == ("info", 1)
        assert {"printed", "by a native library"} <= lines.keys()
        assert lines["by a Python library"]["level"] == "warning"
        assert lines["by the node"]["timestamp"] <= lines["printed"]["timestamp"] <= lines["by a Python library"]["timestamp"]
        assert {line["level"] for line in shown(run, "--level", "warning")} == {"warning"}
        run.workers()["mid"].kill()
        eventually(lambda: any(line["instance"] == "mid" and line.get("life") == 1 for line in shown(run)), "its next life")
        assert any("died: killed by SIGKILL" in str(line["event"]) for line in shown(run, "--node", "supervisor"))
        interrupt(run)
        assert run.wait() == 0, run.stderr
        assert any(str(line["event"]).startswith("leaves") for line in shown(run)), "also when it has ended"
        wrong = graph(run.runtime, "logs", "wordy", "--node", "mud", state=tmp_path / "state")
        assert (wrong.returncode, wrong.stderr) == (2, "there are no logs of a node 'mud' (did you mean 'mid'?)\n")
        wrong = graph(run.runtime, "logs", "wordy", "--since", "soon", state=tmp_path / "state")
        assert (wrong.returncode, wrong.stderr) == (
            2,
            "--since 'soon' is no time (5m, 2h, 90s, or 2026-01-31T12:00)\n",
        )
        wrong = graph(run.runtime, "logs", "wordy", "--level", "inof", state=tmp_path / "state")
        assert (wrong.returncode, wrong.stdout, wrong.stderr) == (
            2,
            "",
            "--level 'inof' is no level (did you mean 'info'?)\n",
        )
        wrong = graph(run.runtime, "logs", "silent", state=tmp_path / "state")
        assert (wrong.returncode, wrong.stderr) == (2, "there are no logs of 'silent' (there are those of wordy)\n")


def test_a_process_writes_down_how_far_it_is(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(junk=0)) as run:
        run.running()
        assert {line["instance"] for line in shown(run, "--grep", "ready")} == {"src", "mid"}, "the graph runs when all are"
        interrupt(run)
        assert run.wait() == 0, run.stderr
        course = ["loaded", "ready", "drained", "leaves with exit code 0"]
        for instance in ("src", "mid"):
            told = shown(run, "--node", instance)
            assert [line["event"] for line in told if line["event"] in course] == course
            assert {line["level"] for line in told if line["event"] in course} == {"info"}


def test_only_what_contains_a_text(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(junk=0)) as run:
        run.running()
        eventually(lambda: shown(run, "--grep", "by a Python library"), "it is logged")
        assert {line["event"] for line in shown(run, "--grep", "by a")} == {"by a native library", "by a Python library"}
        (last,) = shown(run, "--grep", "by a", "-n", "1")
        assert last["event"] == "by a Python library"
        assert shown(run, "--grep", "by a", "--level", "warning") == [last]
        for none in ("BY A", "b. a", '"event"'):
            assert shown(run, "--grep", none) == [], "as it is, and of the message only"


def test_where_there_are_no_logs_it_is_said_where_they_would_be(tmp_path: Path) -> None:
    logs = tmp_path / "state" / "voicegraph" / "logs"
    with short_folder() as runtime:
        for name, whose in ((), ""), (("wordy",), " of 'wordy'"):
            none = graph(runtime, "logs", *name, state=tmp_path / "state")
            assert (none.returncode, none.stdout, none.stderr) == (
                1,
                "",
                f"there are no logs{whose}: no graph has run yet that kept them in {logs} (graph run -d FILE)\n",
            )


def test_without_a_name_those_of_the_graph_that_ran_last(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(junk=0)) as run:
        run.running()
        elsewhere = graph(run.runtime, "logs", state=tmp_path / "elsewhere")
        assert elsewhere.returncode == 1
        assert elsewhere.stderr.endswith(" (was it started with another XDG_STATE_HOME?)\n")
        running = graph(run.runtime, "logs", "--grep", "loaded", state=tmp_path / "state")
        assert (running.returncode, running.stderr) == (0, "")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        ended = graph(run.runtime, "logs", "--grep", "loaded", state=tmp_path / "state")
        assert (ended.returncode, ended.stdout) == (0, running.stdout)
        folder = next((tmp_path / "state").rglob("graph.json")).parent
        assert ended.stderr == f"no graph is running; these are the logs of 'wordy', which ran last: {folder}\n"


def test_of_several_running_graphs_one_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = GRAPH.format(junk=0).replace("name: wordy", "name: other")
    with graph_run(tmp_path, GRAPH.format(junk=0)) as run:
        run.running()
        with graph_run(tmp_path / "other", other, XDG_RUNTIME_DIR=str(run.runtime)) as second:
            second.running()
            several = graph(run.runtime, "logs", state=tmp_path / "state")
            assert (several.returncode, several.stdout, several.stderr) == (
                2,
                "",
                "several graphs are running: other, wordy (name one of them)\n",
            )


def test_logs_go_on_when_another_supervisor_takes_over(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    state = str(tmp_path / "state")
    with graph_run(tmp_path, GRAPH.format(junk=0)) as run:
        run.running()
        eventually(lambda: shown(run, "--grep", "by a Python library"), "it is logged")
        run.process.kill()
        run.wait()
        before = shown(run)
        assert {line["instance"] for line in before} == {"src", "mid", "supervisor"}
        with graph_run(
            tmp_path / "second", tmp_path / "graph.yaml", XDG_RUNTIME_DIR=str(run.runtime), XDG_STATE_HOME=state
        ) as second:
            eventually(lambda: shown(run, "--grep", "took over 2 running processes"), "it is taken over")
            run.workers()["mid"].kill()
            eventually(lambda: shown(run, "--node", "mid", "--grep", "ready")[1:], "its next life")
            eventually(lambda: status(run)["phase"] == "running", "before that Ctrl-C does not drain")
            interrupt(second)
            assert second.wait() == 0, second.stderr
        after = shown(run)
        assert after[: len(before)] == before, "all that was written before is still there"
        assert [line["event"] for line in after if line["instance"] == "src"] == [
            *("loaded", "ready", "drained"),
            "leaves with exit code 0",
        ]
        assert [line["life"] for line in after if line["instance"] == "mid" and line["event"] == "ready"] == [0, 1]
        assert not list((tmp_path / "state").rglob("previous"))
        run.all_gone()


def test_a_node_that_never_stops_talking_fills_no_disk(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(junk=100_000)) as run:
        run.running()
        folder = next((tmp_path / "state").rglob("graph.json")).parent
        eventually(lambda: (folder / "mid.log.3").exists(), "it is rotated")
        assert not (folder / "mid.log.4").exists()
        interrupt(run)
        assert run.wait() == 0, run.stderr
        assert "junk " in (folder / "mid.log.1").read_text()


def test_the_logs_of_the_run_before_are_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with graph_run(tmp_path, GRAPH.format(junk=0)) as run:
            run.running()
            interrupt(run)
            assert run.wait() == 0, run.stderr
    folder = next((tmp_path / "state").rglob("previous")).parent
    assert "loaded" in (folder / "previous" / "mid.log").read_text()
    assert "loaded" in (folder / "mid.log").read_text()
