"""The commands that see to running graphs, on real ones; what they say is compared to the letter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from graph.commands import CommandClient

from .graphs import ROOT, GraphRun, background, eventually, graph_run, short_folder

GRAPH = """\
name: {name}
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1000000, every_ms: 1}}}}
  mid: {{use: "tests.system.actors:Double", in: {{x: src.out}}, restart: never}}
  end: {{use: "tests.system.actors:CountingCollect", in: {{x: mid.out}}, with: {{file: "{folder}/heard.txt"}}}}
"""


def graph(runtime: Path, *arguments: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`graph …`, beside the graphs of a runtime folder."""
    command = [sys.executable, "-m", "graph.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=beside(runtime, state), capture_output=True, text=True, timeout=60)


def beside(runtime: Path, state: Path | None = None) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(state or runtime), "COLUMNS": "200"}


@contextmanager
def begun(runtime: Path, *arguments: str, state: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """`graph …` that has not ended yet; ended with SIGKILL if it is still there at the end."""
    command = [sys.executable, "-m", "graph.cli", *arguments]
    asking = subprocess.Popen(
        command, cwd=ROOT, env=beside(runtime, state), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield asking
    finally:
        asking.kill()
        asking.wait()


def text(folder: Path, name: str = "demo") -> str:
    return GRAPH.format(name=name, folder=folder)


def status(run: GraphRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(graph(run.runtime, "status", "--json").stdout)
    return found


def health(run: GraphRun) -> dict[str, str]:
    return {one["instance"]: one["health"] for one in status(run)["instances"]}


def flows(run: GraphRun) -> None:
    """Wait until the sink hears on."""
    file = run.folder / "heard.count"
    had = int(file.read_text() or 0) if file.exists() else 0
    eventually(lambda: file.exists() and int(file.read_text() or 0) > had + 200, "messages flow")


def test_ps_and_status_tell_how_a_graph_is(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        flows(run)
        (row,) = json.loads(graph(run.runtime, "ps", "--json").stdout)
        assert (row["graph"], row["file"], row["pid"]) == ("demo", str(tmp_path / "graph.yaml"), run.process.pid)
        assert (row["phase"], row["ready"], row["processes"], row["failed"]) == ("running", 3, 3, 0)
        said = status(run)
        assert {one["instance"]: one["pid"] for one in said["instances"]} == {n: p.pid for n, p in run.workers().items()}
        assert said["edges"]["mid.out->end.x"]["delivered"] > 100
        shown = graph(run.runtime, "status", "demo")
        assert shown.returncode == 0
        assert "demo: running for" in shown.stdout
        assert "mid.out   end.x   stream" in shown.stdout


def done(run: GraphRun, *arguments: str) -> dict[str, Any]:
    """What an order to a node says in JSON."""
    told = graph(run.runtime, *arguments, "--json")
    assert (told.returncode, told.stderr) == (0, "")
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_a_node_is_stopped_started_and_restarted_while_the_rest_goes_on(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        first = run.workers()
        assert graph(run.runtime, "stop", "mid").stdout == "'mid' has stopped\n"
        assert health(run)["mid"] == "stopped"
        assert not first["mid"].is_running()
        refused = graph(run.runtime, "stop", "mid")
        assert (refused.returncode, refused.stderr) == (1, "'mid' is stopped already (graph start mid)\n")
        assert graph(run.runtime, "start", "mid").stdout == "'mid' is running\n"
        assert health(run)["mid"] == "ready"
        flows(run)
        refused = graph(run.runtime, "start", "mid")
        assert (refused.returncode, refused.stderr) == (1, "'mid' is not stopped (graph restart mid)\n")
        before = run.workers()["mid"].pid
        said = done(run, "restart", "mid")
        now = run.workers()["mid"].pid
        assert said == {
            "done": "'mid' is running",
            "node": "mid",
            "instances": [{"instance": "mid", "pid": now, "health": "ready", "life": 2}],
        }
        assert now != before
        flows(run)
        assert run.workers()["src"].pid == first["src"].pid
        assert graph(run.runtime, "stop").stdout == "'demo' has ended\n"
        assert run.wait() == 0, run.stderr
        run.all_gone()


def test_an_order_to_a_node_is_done_when_all_its_replicas_are(tmp_path: Path) -> None:
    replicas = text(tmp_path).replace("restart: never", "replicas: 3")
    with graph_run(tmp_path, replicas) as run:
        run.running()
        before = run.workers()
        said = done(run, "restart", "mid")
        assert [(one["instance"], one["health"], one["life"]) for one in said["instances"]] == [
            (f"mid.{n}", "ready", 1) for n in range(3)
        ]
        assert not {one["pid"] for one in said["instances"]} & {process.pid for process in before.values()}
        said = done(run, "stop", "mid")
        assert [(one["health"], one["pid"]) for one in said["instances"]] == [("stopped", None)] * 3
        assert run.workers().keys() == {"src", "end"}


def test_an_order_may_be_given_without_waiting(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        mid = run.workers()["mid"]
        mid.send_signal(signal.SIGSTOP)  # so it cannot leave before somebody looks
        said = done(run, "stop", "mid", "--no-wait")
        assert (said["done"], said["instances"][0]["pid"]) == ("'mid' is being stopped", mid.pid)
        mid.send_signal(signal.SIGCONT)
        eventually(lambda: health(run)["mid"] == "stopped", "it is stopped")
        assert graph(run.runtime, "start", "mid", "--no-wait").stdout == "'mid' is being started\n"
        eventually(lambda: health(run)["mid"] == "ready", "it is there again")
        assert graph(run.runtime, "restart", "mid", "--no-wait").stdout == "'mid' is being started again\n"
        eventually(lambda: "mid: running again (life 2)" in run.stderr, "and again")


def test_a_node_cannot_be_stopped_at_once(tmp_path: Path) -> None:
    with short_folder() as runtime:
        refused = graph(runtime, "stop", "mid", "--now")
        assert (refused.returncode, refused.stdout, refused.stderr) == (
            2,
            "",
            "--now is for a whole graph; a node that does not leave is killed after a while: graph stop mid\n",
        )


def test_a_node_that_fails_when_it_is_started_again_is_told(tmp_path: Path) -> None:
    once = text(tmp_path).replace("actors:Double", "actors:StartsOnce")
    once = once.replace("restart: never", f'restart: never, with: {{file: "{tmp_path}/begun"}}')
    with graph_run(tmp_path, once) as run:
        run.running()
        flows(run)
        for verb in ("restart", "start"):
            failed = graph(run.runtime, verb, "mid")
            assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", "'mid' has failed: the device is taken\n")
        assert health(run)["mid"] == "failed"


def test_ctrl_c_ends_the_waiting_for_a_node_and_the_order_stands(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        mid = run.workers()["mid"]
        mid.send_signal(signal.SIGSTOP)
        with begun(run.runtime, "stop", "mid") as waiting:
            with CommandClient(next((run.runtime / "vg").iterdir())) as client:
                eventually(lambda: client.status().instances[1].leaving, "the order is understood")
            waiting.send_signal(signal.SIGINT)
            assert waiting.wait(timeout=60) == 130
            assert waiting.communicate()[1] == "'mid' is being stopped; graph status shows how it is\n"
        mid.send_signal(signal.SIGCONT)
        eventually(lambda: health(run)["mid"] == "stopped", "it is stopped")


def test_a_failed_node_shows_and_restart_tries_it_again(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        run.workers()["mid"].kill()
        eventually(lambda: health(run)["mid"] == "failed", "it has failed")
        shown = graph(run.runtime, "status")
        assert shown.returncode == 3
        assert "died: killed by SIGKILL" in shown.stdout
        assert graph(run.runtime, "restart", "mid").stdout == "'mid' is running\n"
        flows(run)
        assert graph(run.runtime, "status").returncode == 0


def test_top_shows_rates(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        flows(run)
        (view,) = [json.loads(line) for line in graph(run.runtime, "top", "--count", "1", "--json").stdout.splitlines()]
        rates = {one["instance"]: one for one in view["processes"]}
        assert rates["mid"]["in_rate"] > 0 < rates["mid"]["out_rate"]
        assert rates["end"]["p50_us"] is not None
        shown = graph(run.runtime, "top", "--once", "--sort", "cpu")
        assert "messages/s handled" in shown.stdout
        wrong = graph(run.runtime, "top", "--sort", "cpi")
        assert wrong.returncode == 2
        assert "did you mean 'cpu'?" in wrong.stderr


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    with short_folder() as runtime:
        for verb in (["status"], ["top"], ["stop"], ["restart", "mid"], ["start", "mid"], ["scale", "mid", "2"]):
            nothing = graph(runtime, *verb)
            assert (nothing.returncode, nothing.stderr) == (1, "no graph is running (start one: graph run -d FILE)\n"), verb
        (runtime / "vg" / "0badcafe").mkdir(parents=True)
        (runtime / "vg" / "0badcafe" / "lock").write_text("1")
        assert graph(runtime, "ps", "--json").stdout == "[]\n", "what a crash has left is no graph"
    (tmp_path / "other").mkdir()
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        unknown = graph(run.runtime, "restart", "mud")
        assert (unknown.returncode, unknown.stderr) == (2, "the graph 'demo' has no node 'mud' (did you mean 'mid'?)\n")
        unknown = graph(run.runtime, "status", "demi")
        assert (unknown.returncode, unknown.stderr) == (2, "no graph 'demi' is running (did you mean 'demo'?)\n")
        with graph_run(tmp_path / "other", text(tmp_path / "other", "second"), XDG_RUNTIME_DIR=str(run.runtime)) as second:
            second.running()
            several = graph(run.runtime, "status")
            assert (several.returncode, several.stderr) == (2, "several graphs are running: demo, second (name one of them)\n")
            assert graph(run.runtime, "stop", "-g", "second").stdout == "'second' has ended\n"
            assert second.wait() == 0


def test_a_graph_whose_supervisor_was_killed_is_told_apart_and_ended(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        run.process.kill()
        run.wait()
        orphaned = graph(run.runtime, "status")
        assert (orphaned.returncode, orphaned.stderr) == (
            1,
            "the supervisor of 'demo' was killed, 3 of its processes live on"
            f" (`graph run {tmp_path / 'graph.yaml'}` takes over, `graph stop -g demo` ends them)\n",
        )
        assert json.loads(graph(run.runtime, "ps", "--json").stdout)[0]["phase"] == "orphaned"
        assert graph(run.runtime, "stop").stdout == "ended 3 processes of 'demo', whose supervisor was killed\n"
        run.all_gone()


def killed_while(run: GraphRun, *arguments: str, when: Callable[[], Any]) -> tuple[int, str]:
    """How a command ends whose supervisor is killed once `when` holds."""
    with begun(run.runtime, *arguments) as asking:
        assert asking.stdout is not None
        eventually(when if arguments[0] != "top" else asking.stdout.readline, "the command is at it")
        run.process.kill()
        run.wait()
        return asking.wait(timeout=60), asking.communicate()[1]


def test_a_supervisor_killed_before_it_answers_has_not_ended_its_graph(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        run.process.send_signal(signal.SIGSTOP)  # so it never will
        with begun(run.runtime, "restart", "mid") as asking:
            eventually(lambda: psutil.Process(asking.pid).num_threads() > 1, "it asks: ZeroMQ has its threads")
            run.process.kill()
            run.wait()
            assert asking.wait(timeout=60) == 1
            assert asking.communicate()[1] == (
                "the supervisor of 'demo' was killed, 3 of its processes live on"
                f" (`graph run {tmp_path / 'graph.yaml'}` takes over, `graph stop -g demo` ends them)\n"
            )
        assert graph(run.runtime, "stop").returncode == 0
        run.all_gone()


@pytest.mark.parametrize("command", [("top", "--json"), ("stop",)], ids=" ".join)
def test_a_supervisor_killed_while_a_command_looks_on_has_not_ended_its_graph(tmp_path: Path, command: tuple[str, ...]) -> None:
    slow = text(tmp_path).replace("actors:Double", "actors:Slow").replace("{x: src.out}", "{x: {from: src.out, link: queue}}")
    with graph_run(tmp_path, slow + "drain_within: 60s\n", "-o", "nodes.mid.with.ms=500") as run:
        run.running()
        code, told = killed_while(run, *command, when=lambda: "draining" in run.stderr)
        assert (code, told) == (
            1,
            "the supervisor of 'demo' was killed, 3 of its processes live on"
            f" (`graph run {tmp_path / 'graph.yaml'}` takes over, `graph stop -g demo` ends them)\n",
        )
        assert graph(run.runtime, "stop", "--now").returncode == 0
        run.all_gone()


def test_a_stopped_supervisor_is_silent(tmp_path: Path) -> None:
    with graph_run(tmp_path, text(tmp_path)) as run:
        run.running()
        run.process.send_signal(signal.SIGSTOP)
        try:
            silent = graph(run.runtime, "status")
            assert silent.returncode == 1
            assert "does not answer" in silent.stderr
        finally:
            run.process.send_signal(signal.SIGCONT)


def detached(runtime: Path, tmp_path: Path, *options: str, content: str = "") -> subprocess.CompletedProcess[str]:
    """`graph run -d` of a graph, which may be slow to start or not start at all."""
    (tmp_path / "graph.yaml").write_text(content or text(tmp_path))
    return graph(runtime, "run", "-d", *options, str(tmp_path / "graph.yaml"), state=tmp_path)


def listed(runtime: Path) -> list[dict[str, Any]]:
    """`graph ps --json`."""
    found: list[dict[str, Any]] = json.loads(graph(runtime, "ps", "--json").stdout)
    return found


def test_detached_it_runs_on_in_the_background(tmp_path: Path) -> None:
    with background() as runtime:
        began = detached(runtime, tmp_path, "--json")
        assert began.returncode == 0, began.stderr
        said = json.loads(began.stdout)
        assert os.getsid(said["pid"]) == said["pid"], "a session of its own"
        assert Path(said["output"]).read_text().startswith("running after")
        assert graph(runtime, "stop", state=tmp_path).returncode == 0
        assert not psutil.pid_exists(said["pid"]) or psutil.Process(said["pid"]).status() == psutil.STATUS_ZOMBIE


def test_detached_it_says_how_to_go_on(tmp_path: Path) -> None:
    with background() as runtime:
        began = detached(runtime, tmp_path)
        assert (began.returncode, began.stderr) == (0, "")
        (one,) = listed(runtime)
        output = next((tmp_path / "voicegraph").rglob("*.run.log"))
        assert began.stdout == (
            f"'demo' is running (process {one['pid']}); what it says: {output}\n"
            "go on with: graph status demo, graph logs demo, graph stop -g demo\n"
        )


def test_detached_and_quiet_nothing_is_said(tmp_path: Path) -> None:
    with background() as runtime:
        began = detached(runtime, tmp_path, "-q")
        assert (began.returncode, began.stdout, began.stderr) == (0, "", "")
        assert graph(runtime, "stop", state=tmp_path).returncode == 0
        assert next((tmp_path / "voicegraph").rglob("*.run.log")).read_text() == ""


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_detached_the_waiting_is_ended_and_the_graph_goes_on_starting(tmp_path: Path, how: signal.Signals, code: int) -> None:
    (tmp_path / "graph.yaml").write_text(text(tmp_path).replace("actors:Double", "actors:NeverReady"))
    with background() as runtime, begun(runtime, "run", "-d", str(tmp_path / "graph.yaml"), state=tmp_path) as waiting:
        (one,) = eventually(lambda: [g for g in listed(runtime) if g["phase"] == "starting"], "it is starting")
        waiting.send_signal(how)
        assert waiting.wait(timeout=60) == code
        output = next((tmp_path / "voicegraph").rglob("*.run.log"))
        assert waiting.communicate() == (
            "",
            f"'demo' goes on starting (process {one['pid']}); what it says: {output}\nend it with: graph stop -g demo\n",
        )
        assert [(g["pid"], g["phase"]) for g in listed(runtime)] == [(one["pid"], "starting")]
        assert graph(runtime, "stop", "-g", "demo", state=tmp_path).stdout == "'demo' has ended\n"


def test_json_is_for_detached(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(text(tmp_path))
    with background() as runtime:
        refused = graph(runtime, "run", "--json", str(tmp_path / "graph.yaml"), state=tmp_path)
        assert (refused.returncode, refused.stdout, refused.stderr) == (
            2,
            "",
            "--json is for --detach; what happens in a run is written by --report FILE\n",
        )


def test_detached_a_second_time_it_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with background() as runtime:
        first = json.loads(detached(runtime, tmp_path, "--json").stdout)
        second = detached(runtime, tmp_path)
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == f"this graph is running already (process {first['pid']}): stop it first\n"
        assert Path(first["output"]).read_text().startswith("running after"), "its output is still there"
        assert listed(runtime)[0]["pid"] == first["pid"]


def test_detached_without_a_place_for_its_output(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(text(tmp_path))
    (tmp_path / "afile").touch()
    with background() as runtime:
        began = graph(runtime, "run", "-d", str(tmp_path / "graph.yaml"), state=tmp_path / "afile")
        assert began.returncode == 1
        assert began.stderr.startswith(f"cannot write logs to {tmp_path}/afile/voicegraph/logs/")
        assert began.stderr.endswith(": Not a directory; set XDG_STATE_HOME to a folder of yours\n")


def test_detached_a_graph_that_cannot_start_says_why(tmp_path: Path) -> None:
    with background() as runtime:
        began = detached(runtime, tmp_path, content=text(tmp_path).replace("actors:Double", "actors:FailsInSetup"))
        assert began.returncode == 1
        assert began.stderr.startswith("error: mid: no microphone here: plug one in\n")
