"""Whole graphs of small nodes: nothing is lost, every process is its own, nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graph.rundir import process_of

from .graphs import ROOT, eventually, graph_run, interrupt, short_folder

CHAIN = """\
name: chain
orphan_after: 2s
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: {count}, every_ms: {every_ms}, sessions: {sessions}}}}}
  mid: {{use: "tests.system.actors:{mid}", in: {{x: {{from: src.out, link: {link}{options}}}}}, replicas: {replicas}}}
  end: {{use: "tests.system.actors:Collect", in: {{x: {{from: mid.out, link: {link}{options}}}}}, with: {{file: "{file}"}}}}
"""


def chain(folder: Path, *, link: str = "stream", mid: str = "Double", **changes: object) -> str:
    values = {"count": 1000, "every_ms": 0, "sessions": 1, "replicas": 1, "options": ", depth: 2000", **changes}
    return CHAIN.format(link=link, mid=mid, file=folder / "heard.txt", **values)


def heard(folder: Path) -> list[int]:
    return [int(line.split()[1]) for line in (folder / "heard.txt").read_text().splitlines()]


@pytest.mark.parametrize("link", ["stream", "queue"])
def test_every_message_arrives_from_the_first_to_the_last(tmp_path: Path, link: str) -> None:
    with graph_run(tmp_path, chain(tmp_path, link=link)) as run:
        assert run.wait() == 0, run.stderr
        assert heard(tmp_path) == [2 * n for n in range(1000)]
        for name in ("src.out->mid.x", "mid.out->end.x"):
            edge = run.edge(name)
            assert (edge["sent"], edge["delivered"], edge["dropped"]) == (1000, 1000, 0)
        run.all_gone()


def test_the_same_over_tcp(tmp_path: Path, unused_ports: int) -> None:
    text = chain(tmp_path) + f"transport: {{kind: tcp, first_port: {unused_ports}}}\n"
    with graph_run(tmp_path, text) as run:
        assert run.wait() == 0, run.stderr
        assert len(heard(tmp_path)) == 1000


def test_replicas_share_a_queue_and_lose_nothing(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, link="queue", replicas=3)) as run:
        assert run.wait() == 0, run.stderr
        assert sorted(heard(tmp_path)) == [2 * n for n in range(1000)]
        run.all_gone()


def test_replicas_share_sessions_on_a_stream(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, replicas=2, sessions=20)) as run:
        assert run.wait() == 0, run.stderr
        assert sorted(heard(tmp_path)) == [2 * n for n in range(1000)]
        assert run.edge("src.out->mid.x")["dropped"] == 0


def test_a_slow_consumer_on_a_stream_loses_messages_and_every_one_is_counted(tmp_path: Path) -> None:
    text = chain(tmp_path, mid="Slow", count=3000, options=", depth: 10, when_full: drop_oldest")
    with graph_run(tmp_path, text) as run:
        assert run.wait() == 0, run.stderr
        first, second = run.edge("src.out->mid.x"), run.edge("mid.out->end.x")
        assert first["sent"] == 3000 == first["delivered"] + first["dropped"]
        assert first["dropped"] > 0
        assert second["sent"] == first["delivered"] == second["delivered"] + second["dropped"]
        assert len(heard(tmp_path)) == second["delivered"]


def test_an_async_handler_says_everything(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, mid="AsyncDouble", count=50)) as run:
        assert run.wait() == 0, run.stderr
        assert heard(tmp_path) == [2 * n for n in range(50) for _ in range(2)]


def test_every_node_is_its_own_process_and_is_named_in_the_report(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, every_ms=1, count=200_000)) as run:
        run.running()
        pids = {name: process.pid for name, process in run.workers().items()}
        assert len({*pids.values(), run.process.pid}) == 4
        interrupt(run)
        assert run.wait() == 0, run.stderr
        assert {n["instance"]: n["pid"] for n in run.report["nodes"]} == pids
        assert run.report["turns"][0]["marks"]["collected"]["pid"] == pids["end"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_drains_and_so_does_a_closed_terminal(tmp_path: Path, how: signal.Signals) -> None:
    with graph_run(tmp_path, chain(tmp_path, every_ms=1, count=200_000)) as run:
        run.running()
        run.process.send_signal(how)
        assert run.wait() == 0, run.stderr
        edge = run.edge("mid.out->end.x")
        assert edge["sent"] == edge["delivered"] == len(heard(tmp_path))
        run.all_gone()


def test_a_terminal_that_is_gone_takes_nothing_along(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(chain(tmp_path, every_ms=1, count=200_000))
    with short_folder() as runtime:
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(tmp_path)}
        command = [sys.executable, "-m", "graph.cli", "run", str(tmp_path / "graph.yaml")]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            assert process.stderr.readline().startswith("running")
            eventually((tmp_path / "heard.began").exists, "messages flow")
            process.stderr.close()
            process.send_signal(signal.SIGHUP)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.wait()
    assert heard(tmp_path), "it was drained, not killed"


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, mid="Slow", every_ms=1, count=200_000)) as run:
        run.running()
        eventually(lambda: "src" in run.workers(), "the source is there")
        interrupt(run)
        eventually(lambda: "draining" in run.stderr, "it drains")
        interrupt(run)
        assert run.wait() == 130
        run.all_gone()


def test_the_supervisor_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, every_ms=1, count=200_000)) as run:
        run.running()
        eventually((tmp_path / "heard.began").exists, "messages flow")
        run.process.kill()
        assert run.wait() == -signal.SIGKILL
        assert len(run.workers()) == 3, "the graph streams on for a while"
        run.all_gone()
        assert len(heard(tmp_path)) > 0


def test_the_supervisor_killed_while_a_node_loads_leaves_nothing_behind(tmp_path: Path) -> None:
    text = chain(tmp_path, mid="NeverReady") + "drain_within: 1s\n"
    with graph_run(tmp_path, text) as run:
        eventually(lambda: len(run.workers()) == 3 and len(list(run.runtime.rglob("*.out"))) == 3, "all have started")
        run.process.kill()
        run.wait()
        run.all_gone()


@pytest.mark.parametrize(
    ("mid", "told"),
    [
        ("FailsInSetup", "error: mid: no microphone here: plug one in"),
        ("BugInSetup", "error: mid: ZeroDivisionError: division by zero"),
    ],
)
def test_a_node_that_fails_in_setup_ends_the_graph_with_one_line(tmp_path: Path, mid: str, told: str) -> None:
    with graph_run(tmp_path, chain(tmp_path, mid=mid)) as run:
        assert run.wait() == 1
        lines = run.stderr.splitlines()
        assert lines[0] == told
        assert "Traceback" not in run.stderr
        assert run.report["failures"] == {"mid": told.removeprefix("error: mid: ")}
        run.all_gone()


def test_a_critical_node_that_dies_ends_the_graph(tmp_path: Path) -> None:
    overlays = ["-o", "nodes.mid.critical=true", "-o", "nodes.mid.restart=never"]
    (tmp_path / "graph.yaml").write_text(chain(tmp_path, every_ms=1, count=200_000))
    with graph_run(tmp_path, tmp_path / "graph.yaml", *overlays) as run:
        run.running()
        eventually((tmp_path / "heard.began").exists, "messages flow")
        run.workers()["mid"].kill()
        assert run.wait() == 1
        assert "error: mid: died: killed by SIGKILL" in run.stderr
        assert heard(tmp_path), "the others left cleanly and wrote what they had"
        run.all_gone()


def test_a_node_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, mid="NeverReady") + "start_within: 2s\n") as run:
        assert run.wait() == 1
        assert "error: mid: not ready within 2 s (last: loading a model that never comes)" in run.stderr
        run.all_gone()


def test_two_supervisors_never_own_one_graph(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, every_ms=1, count=200_000)) as run:
        run.running()
        with graph_run(tmp_path, tmp_path / "graph.yaml", XDG_RUNTIME_DIR=str(run.runtime)) as second:
            assert second.wait() == 1
            assert second.stderr == f"this graph is running already (process {run.process.pid}): stop it first\n"
        assert run.process.poll() is None
        assert len(run.workers()) == 3
        interrupt(run)
        assert run.wait() == 0


def test_a_graph_is_started_again_over_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    with graph_run(tmp_path, chain(tmp_path, every_ms=1, count=200_000)) as run:
        run.running()
        left = {process_of(p.pid) for p in run.workers().values()}
        run.process.kill()
        run.wait()
        text = "drain_within: 9s\n" + chain(tmp_path)  # which a running graph cannot be changed into
        with graph_run(tmp_path, text, XDG_RUNTIME_DIR=str(run.runtime)) as second:
            assert second.wait() == 0, second.stderr
        assert heard(tmp_path) == [2 * n for n in range(1000)]
        assert not any(process_of(one.pid) == one for one in left if one)
        run.all_gone()


INTERRUPTED = """\
name: interrupted
nodes:
  topics: {{use: "tests.system.actors:Topics"}}
  talk: {{use: "tests.system.actors:{talk}", in: {{x: topics.out, interrupt: heckle.interrupt}}}}
  heckle: {{use: "tests.system.actors:Heckle", in: {{words: talk.words}}}}
"""


@pytest.mark.parametrize("talk", ["Talk", "TalkByItself"])
def test_an_interruption_closes_the_handler_and_the_next_turn_is_handled(tmp_path: Path, talk: str) -> None:
    with graph_run(tmp_path, INTERRUPTED.format(talk=talk)) as run:
        assert run.wait() == 0, run.stderr
        assert run.edge("heckle.interrupt->talk.interrupt")["delivered"] == 2, "both turns talked, both were stopped"
        words = run.edge("talk.words->heckle.words")
        assert 0 < words["sent"] < 1_000_000
        run.all_gone()


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path, unused_ports: int) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", unused_ports))
        taken.listen()
        text = chain(tmp_path) + f"transport: {{kind: tcp, first_port: {unused_ports}}}\n"
        with graph_run(tmp_path, text) as run:
            assert run.wait() == 1
            told = f"port 127.0.0.1:{unused_ports} is in use by another program: choose another `first_port`"
            assert run.stderr.splitlines()[0] == f"error: src: {told}"
            run.all_gone()
