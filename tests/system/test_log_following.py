"""`graph logs -f` beside a real graph: over deaths and rotations every line once, and it ends with the graph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .graphs import PATIENCE_S, ROOT, GraphRun, eventually, graph_run, interrupt
from .test_commands import graph

GRAPH = """\
name: talk
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: {count}, every_ms: {every_ms}}}}}
  mid: {{use: "tests.system.actors:Talkative", in: {{x: {{from: src.out, depth: 100000}}}}, with: {{padding: {padding}}}}}
"""


def environment(run: GraphRun) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(run.runtime), "XDG_STATE_HOME": str(run.folder / "state")}


@contextmanager
def following(run: GraphRun, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`graph logs -f --json`, and the file it writes to; ended at the end if it has not ended itself."""
    file = run.folder / "followed.txt"
    with file.open("wb") as out:
        command = [sys.executable, "-m", "graph.cli", "logs", "talk", "-f", "--json", *options]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(run), stdout=out)
    try:
        yield process, file
    finally:
        process.kill()
        process.wait()


def whole(file: Path) -> list[str]:
    """The lines of a file that is being written to."""
    return file.read_text().rpartition("\n")[0].splitlines()


def spoken(lines: list[str]) -> list[int]:
    """The numbers that the node has said, in the order in which they were shown."""
    return [line["n"] for line in map(json.loads, lines) if line["event"] == "number"]


def shown(run: GraphRun, *options: str) -> list[str]:
    told = graph(run.runtime, "logs", "talk", "--json", *options, state=run.folder / "state")
    assert told.returncode == 0, told.stderr
    return told.stdout.splitlines()


def test_every_line_once_over_rotations_to_the_end_of_the_graph(tmp_path: Path) -> None:
    # 40 MB in 4,000 lines: more than a file and its three old ones hold, so only who follows has seen it all
    with graph_run(tmp_path, GRAPH.format(count=4000, every_ms=2, padding=10_000)) as run:
        run.running()
        with following(run, "--node", "mid") as (process, file):
            assert run.wait() == 0, run.stderr
            assert process.wait(PATIENCE_S) == 0, "it ends with the graph"
            assert spoken(whole(file)) == list(range(4000))
        folder = next((tmp_path / "state").rglob("graph.json")).parent
        assert (folder / "mid.log.3").exists()
        assert sum(one.stat().st_size for one in folder.glob("mid.log*")) < 60 * 2**20
        run.all_gone()


def test_over_the_death_of_a_node(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(count=100_000, every_ms=5, padding=1)) as run:
        run.running()
        with following(run) as (process, file):
            eventually(lambda: len(spoken(whole(file))) > 5, "it follows")
            run.workers()["mid"].kill()
            eventually(lambda: any('"life":1' in line for line in whole(file)), "the next life is heard")
            interrupt(run)
            assert run.wait() == 0, run.stderr
            assert process.wait(PATIENCE_S) == 0
        told = whole(file)
        assert sorted(told) == sorted(shown(run)), "what is followed is what there is"
        assert len(set(spoken(told))) == len(spoken(told))
        assert any("died: killed by SIGKILL" in line for line in told)


def test_only_the_last_lines_and_then_all_that_come(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(count=100_000, every_ms=5, padding=1)) as run:
        run.running()
        with following(run, "-n", "0", "--node", "mid") as (process, file):
            found = eventually(lambda: spoken(whole(file))[10:], "it follows")
            assert found == list(range(found[0], found[0] + len(found)))
            interrupt(run)
            assert run.wait() == 0, run.stderr
            assert process.wait(PATIENCE_S) == 0


def test_who_stops_reading_is_no_traceback(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(count=3000, every_ms=0, padding=100)) as run:
        assert run.wait() == 0, run.stderr
        for form in ("--json", ""):
            command = f"{sys.executable} -m graph.cli logs talk {form} | head -n 1"
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command],
                cwd=ROOT, env=environment(run), capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


def test_the_run_before(tmp_path: Path) -> None:
    for count in (3, 5):
        with graph_run(tmp_path, GRAPH.format(count=count, every_ms=0, padding=1)) as run:
            assert run.wait() == 0, run.stderr
        if count == 3:
            none = graph(run.runtime, "logs", "talk", "--previous", state=tmp_path / "state")
            assert none.returncode == 2
            assert none.stderr.startswith("no logs of a run before are kept in ")
    assert (spoken(shown(run, "--previous")), spoken(shown(run))) == ([0, 1, 2], [0, 1, 2, 3, 4])
    wrong = graph(run.runtime, "logs", "tolk", state=tmp_path / "state")
    assert (wrong.returncode, wrong.stderr) == (2, "there are no logs of 'tolk' (did you mean 'talk'?)\n")


def with_level(level: str) -> str:
    """The graph, where the node has a level of its own."""
    text = GRAPH.format(count=3, every_ms=0, padding=1)
    return text.replace("padding: 1}}", f"padding: 1}}, resources: {{env: {{VOICEGRAPH_LOG: {level}}}}}}}")


def test_a_level_that_there_is_not(tmp_path: Path) -> None:
    with graph_run(tmp_path, with_level("info"), VOICEGRAPH_LOG="lots") as run:
        assert run.wait() == 2
        assert run.stderr == "VOICEGRAPH_LOG: 'lots' is no level (debug, info, warning, error)\n"
        run.all_gone()


def test_a_level_that_there_is_not_for_one_node(tmp_path: Path) -> None:
    with graph_run(tmp_path, with_level("inof")) as run:
        assert run.wait() == 1
        assert "mid: VOICEGRAPH_LOG: 'inof' is no level (did you mean 'info'?)" in run.stderr
        run.all_gone()


def test_a_node_may_have_a_level_of_its_own(tmp_path: Path) -> None:
    with graph_run(tmp_path, with_level("warning")) as run:
        assert run.wait() == 0, run.stderr
        assert spoken(shown(run)) == []
        assert any('"instance":"src"' in line for line in shown(run))
