"""Programs as nodes, for real: the JavaScript of examples/ is fed, answers, is supervised and drained like any node."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest
import soundfile
import zmq

from .graphs import ROOT, GraphRun, eventually, graph_run, interrupt

JAVASCRIPT = ROOT / "examples/javascript"


def why_not() -> str:
    """Why programs in JavaScript cannot be tested here."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (JAVASCRIPT / "node_modules/zeromq").is_dir():
        return "the npm packages of examples/javascript are not installed: make javascript"
    return ""


javascript = pytest.mark.skipif(bool(why_not()), reason=why_not())

GRAPH = """\
name: levels
orphan_after: 2s
nodes:
  src: {src}
  js:
    exec: node examples/javascript/level.mjs
    in: {{audio: {{from: src.audio, {into}}}}}
    out: {{level: audio.level}}
    {options}
  end:
    use: "tests.system.link_actors:CollectLevels"
    in: {{level: {{from: js.level, {out}}}}}
    with: {{file: "{file}"}}
"""
STREAM = "link: stream, depth: 5000"
QUEUE = "link: queue"
SURE = "link: queue, delivery: at_least_once"


def levels(folder: Path, src: str, link: str, options: str = "", into: str = "") -> str:
    return GRAPH.format(src=src, into=into or link, out=link, options=options, file=folder / "levels.txt")


def frames(count: int, every_ms: float = 0, **more: int) -> str:
    said = ", ".join(f"{k}: {v}" for k, v in {"count": count, "every_ms": every_ms, "sessions": 8, **more}.items())
    return f'{{use: "tests.system.link_actors:Frames", with: {{{said}}}}}'


class Told(NamedTuple):
    instance: str
    session: str
    turn: int
    start: int
    rms_db: float
    peak_db: float


def told(folder: Path) -> list[Told]:
    file = folder / "levels.txt"
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [Told(w, s, int(t), int(n), float(r), float(p)) for w, s, t, n, r, p in (x for x in lines if len(x) == 6)]


def level_of(samples: Any) -> tuple[float, float]:
    """RMS and peak in dB, by numpy."""
    scaled = np.abs(samples.astype(np.float64) / 32768)
    with np.errstate(divide="ignore"):
        rms, peak = 20 * np.log10([np.sqrt(np.mean(scaled**2)), scaled.max()])
    return max(-100.0, float(rms)), max(-100.0, float(peak))


def program(run: GraphRun, instance: str = "js") -> Any:
    return eventually(lambda: run.programs().get(instance), f"{instance} lives")


@javascript
@pytest.mark.parametrize("link", [STREAM, QUEUE, SURE])
def test_every_frame_of_a_recording_is_answered_and_the_answers_are_right(tmp_path: Path, link: str) -> None:
    path = ROOT / "examples/audio/questions.wav"
    src = f'{{use: capture.file, with: {{path: "{path}", pace: fast, silence_ms: 0}}}}'
    with graph_run(tmp_path, levels(tmp_path, src, link)) as run:
        assert run.wait() == 0, run.stderr
        run.all_gone()
        node = next(n for n in run.report["nodes"] if n["instance"] == "js")
        assert (node["use"], node["restarts"]) == ("exec: node examples/javascript/level.mjs", 0)
        edges = [run.edge("src.audio->js.audio"), run.edge("js.level->end.level")]
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 16_000
    parts = [samples[at : at + 512] for at in range(0, len(samples), 512)]
    parts[-1] = np.pad(parts[-1], (0, 512 - len(parts[-1])))
    heard = told(tmp_path)
    assert [t.start for t in heard] == [512 * n for n in range(len(parts))]
    expected = [level_of(part) for part in parts]
    np.testing.assert_allclose([(t.rms_db, t.peak_db) for t in heard], expected, atol=1e-9)
    for edge in edges:
        assert (edge["sent"], edge["delivered"], edge["dropped"], edge["rejected"]) == (len(parts), len(parts), 0, 0)
    assert edges[0]["bytes"] == 1024 * len(parts)


@javascript
@pytest.mark.parametrize("link", [STREAM, QUEUE])
def test_replicas_share_the_work_and_lose_nothing(tmp_path: Path, link: str) -> None:
    text = levels(tmp_path, frames(600), link, "replicas: 2")
    with graph_run(tmp_path, text) as run:
        assert run.wait() == 0, run.stderr
        run.all_gone()
    heard = told(tmp_path)
    assert sorted(t.start for t in heard) == [160 * n for n in range(600)]
    assert {t.instance for t in heard} == {"js.0", "js.1"}
    assert all((t.session, t.turn) == (f"s{t.start // 160 % 8}", t.start // 160 + 1) for t in heard), "what is answered is kept"
    if link == STREAM:
        assert all(len({t.instance for t in heard if t.session == f"s{s}"}) == 1 for s in range(8))


@javascript
def test_payloads_for_a_program_do_not_go_through_shared_memory(tmp_path: Path) -> None:
    for link in (STREAM, QUEUE):
        with graph_run(tmp_path, levels(tmp_path, frames(20, samples=100_000), link)) as run:
            assert run.wait() == 0, run.stderr
            edge = run.edge("src.audio->js.audio")
            assert (edge["delivered"], edge["bytes"], edge["rejected"]) == (20, 20 * 200_000, 0)
        assert [t.peak_db for t in told(tmp_path)] == pytest.approx([level_of(np.array([n]))[1] for n in range(20)])


@javascript
@pytest.mark.timeout(400)
@pytest.mark.parametrize("order", ["", ", order: session"])
def test_every_frame_has_its_effect_once_while_programs_are_killed(tmp_path: Path, order: str) -> None:
    kills, chance = 5, random.Random(7)
    options = "replicas: 2\n    restart: {max: 100, within: 60s}"
    text = levels(tmp_path, frames(1_000_000, 0.5), SURE, options, into=SURE + order) + "drain_within: 60s\n"
    with graph_run(tmp_path, text) as run:
        run.running()
        for kill in range(kills):
            after = len(told(tmp_path)) + chance.randrange(1, 500)
            eventually(lambda n=after: len(told(tmp_path)) >= n, "answers come")
            program(run, chance.choice(["js.0", "js.1"])).kill()
            eventually(lambda n=kill: run.stderr.count("running again") > n, "it was started again")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        heard = told(tmp_path)
        into = run.edge("src.audio->js.audio")
        assert (into["sent"], into["dead_lettered"]) == (len(heard), 0)
        assert sorted(t.start for t in heard) == [160 * n for n in range(len(heard))], "each exactly once"
        if order:
            for session in range(8):
                of_it = [t.start for t in heard if t.session == f"s{session}"]
                assert of_it == sorted(of_it)
        assert sum(n["restarts"] for n in run.report["nodes"]) == kills
        run.all_gone()


@javascript
@pytest.mark.parametrize("link", [STREAM, QUEUE])
def test_ctrl_c_drains(tmp_path: Path, link: str) -> None:
    with graph_run(tmp_path, levels(tmp_path, frames(100_000, 1), link)) as run:
        run.running()
        eventually(lambda: len(told(tmp_path)) > 50, "answers come")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        sent = run.edge("src.audio->js.audio")["sent"]
        assert len(told(tmp_path)) == sent > 50
        run.all_gone()


@javascript
def test_a_critical_program_that_is_killed_ends_the_graph(tmp_path: Path) -> None:
    with graph_run(tmp_path, levels(tmp_path, frames(100_000, 1), QUEUE, "restart: never\n    critical: true")) as run:
        run.running()
        program(run).kill()
        assert run.wait() == 1
        assert "error: js: died: killed by SIGKILL" in run.stderr
        run.all_gone()


@javascript
def test_a_stream_goes_on_behind_a_program_that_is_started_again(tmp_path: Path) -> None:
    text = levels(tmp_path, frames(100_000, 1), STREAM, "restart: {max: 3}")
    with graph_run(tmp_path, text) as run:
        run.running()
        eventually(lambda: len(told(tmp_path)) > 50, "answers come")
        program(run).kill()
        eventually(lambda: "js: running again (life 1)" in run.stderr, "it was started again")
        before = len(told(tmp_path))
        eventually(lambda: len(told(tmp_path)) > before + 50, "answers come again")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        assert "warning: js: died: killed by SIGKILL; starting again now (1 of 3 in 60 s)" in run.stderr
        edge = run.edge("src.audio->js.audio")
        assert edge["sent"] > edge["delivered"] > 50, "of the dead its last beat, of its next life all"
        run.all_gone()


@javascript
def test_what_a_program_throws_is_told_with_its_name(tmp_path: Path) -> None:
    with graph_run(tmp_path, levels(tmp_path, frames(10), QUEUE, "with: {floor_db: loud}")) as run:
        assert run.wait() == 1
        assert "error: js: Error: floor_db must be a number, of dB" in run.stderr
        log = next((tmp_path / "state").rglob("js.log"))
        assert "level.mjs" in log.read_text(), "where it was thrown"
        run.all_gone()


@javascript
def test_programs_whose_supervisor_is_killed_drain_and_leave_nothing_behind(tmp_path: Path) -> None:
    with graph_run(tmp_path, levels(tmp_path, frames(100_000, 1), QUEUE)) as run:
        run.running()
        eventually(lambda: len(told(tmp_path)) > 50, "answers come")
        run.process.send_signal(signal.SIGKILL)
        run.all_gone()
    starts = [t.start for t in told(tmp_path)]
    assert starts == [160 * n for n in range(len(starts))]


@javascript
def test_what_is_no_message_is_counted_and_changes_nothing(tmp_path: Path) -> None:
    with graph_run(tmp_path, levels(tmp_path, frames(100_000, 1), QUEUE)) as run:
        run.running()
        sockets = eventually(lambda: list(run.runtime.rglob("js.work")), "it is bound")
        context: zmq.Context[Any] = zmq.Context()
        push = context.socket(zmq.PUSH)
        push.connect(f"ipc://{sockets[0]}")
        right = {"v": 1, "kind": "audio.frame", "port": "audio", "instance": "src", "seq": 0}
        headers = [b"", b"\xc1", msgpack.packb([1]), msgpack.packb({"v": 1}), msgpack.packb({**right, "v": 2})]
        headers += [msgpack.packb({**right, **wrong}) for wrong in ({"instance": "nobody"}, {"seq": -1}, {"seq": "x"}, {})]
        for header in headers:
            push.send_multipart([b"src.audio->js.audio", header, b"\0\0"])
        push.send_multipart([b"src.audio->js.audio"])
        push.send_multipart([b"end", b"\xc1"])
        push.send_multipart([b"hello", msgpack.packb({"instance": 3})])
        push.send_multipart([b"who", b"knows"])
        eventually(lambda: "warning: js: frames came that belong to no link of this node" in run.stderr, "it is told")
        before = len(told(tmp_path))
        eventually(lambda: len(told(tmp_path)) > before + 50, "answers come")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        edge = run.edge("src.audio->js.audio")
        assert edge["rejected"] == len(headers) + 1
        assert edge["delivered"] == edge["sent"] == len(told(tmp_path))
        context.destroy(linger=0)


@javascript
def test_a_program_that_finds_another_protocol_says_so(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "protocol": 2,
        "instance": "js",
        "life": 0,
        "with": {},
        "inputs": [],
        "outputs": {},
        "consumers": [],
    }
    told |= {"control": f"ipc://{tmp_path}/control", "bind": {"out": f"ipc://{tmp_path}/out"}, "stream_depth": 10}
    (tmp_path / "node.json").write_text(json.dumps(told | {"orphan_after_s": 30, "drain_within_s": 10}))
    context: zmq.Context[Any] = zmq.Context()
    supervisor = context.socket(zmq.ROUTER)
    supervisor.bind(told["control"])
    environment = {**os.environ, "VOICEGRAPH_NODE": str(tmp_path / "node.json")}
    process = subprocess.Popen(["node", JAVASCRIPT / "level.mjs"], env=environment, stderr=subprocess.DEVNULL)
    try:
        said = []
        while not said or said[-1]["type"] != "failed":
            assert supervisor.poll(30_000), f"only {said}"
            name, frame = supervisor.recv_multipart()
            assert name == b"js"
            said.append(msgpack.unpackb(frame))
        assert said[0] == {"type": "hello", "pid": process.pid}
        assert said[-1]["text"].startswith("Error: the graph speaks protocol 2, this library 1")
        assert process.wait(timeout=30) == 1
    finally:
        process.kill()
        process.wait()
        context.destroy(linger=0)


@javascript
def test_a_program_that_is_started_by_hand_says_how_it_is_meant() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "VOICEGRAPH_NODE"}
    ended = subprocess.run(["node", JAVASCRIPT / "level.mjs"], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "name it under `exec:` in a graph file" in ended.stderr


COUNT = """\
name: js-source
nodes:
  src:
    exec: node tests/system/count.mjs
    out: {{out: test.number}}
    with: {{count: {count}, every_ms: {every_ms}, throw_at: {throw_at}}}
    restart: {{max: {max}}}
  mid: {{use: "tests.system.actors:Double", in: {{x: {{from: src.out, {link}}}}}, replicas: {replicas}}}
  end: {{use: "tests.system.actors:Collect", in: {{x: {{from: mid.out, {link}}}}}, with: {{file: "{file}"}}}}
  metrics: {{use: metrics.console, in: {{marks: "*.telemetry"}}}}
"""


def count(folder: Path, link: str, **changes: int) -> str:
    values = {"count": 500, "every_ms": 0, "throw_at": -1, "max": 5, "replicas": 1, **changes}
    return COUNT.format(link=link, file=folder / "heard.txt", **values)


@javascript
@pytest.mark.parametrize(("link", "replicas"), [(STREAM, 1), (STREAM, 2), (QUEUE, 1), (SURE, 2)])
def test_a_source_in_javascript(tmp_path: Path, link: str, replicas: int) -> None:
    with graph_run(tmp_path, count(tmp_path, link, replicas=replicas)) as run:
        assert run.wait() == 0, run.stderr
        heard = [int(line.split()[1]) for line in (tmp_path / "heard.txt").read_text().splitlines()]
        assert sorted(heard) == [2 * n for n in range(500)]
        edge = run.edge("src.out->mid.x")
        assert (edge["sent"], edge["delivered"], edge["dropped"]) == (500, 500, 0)
        assert run.edge("src.telemetry->metrics.marks")["delivered"] == 1
        assert run.report["turns"][0]["marks"]["first"]["pid"] > 0
        run.all_gone()


@javascript
def test_workers_of_a_source_in_javascript_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    text = count(tmp_path, SURE, replicas=2, count=1_000_000, every_ms=1).replace(
        "replicas: 2}", "replicas: 2, restart: {max: 9}}"
    )
    with graph_run(tmp_path, text + "drain_within: 60s\n") as run:
        run.running()
        for n in range(3):
            eventually(lambda n=n: run.workers().get(f"mid.{n % 2}"), "a worker lives").kill()
            eventually(lambda n=n: run.stderr.count("running again") > n, "it was started again")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        heard = [int(line.split()[1]) for line in (tmp_path / "heard.txt").read_text().splitlines()]
        assert run.edge("src.out->mid.x")["sent"] == len(heard)
        assert sorted(heard) == [2 * n for n in range(len(heard))]
        run.all_gone()


@javascript
def test_a_source_that_breaks_again_and_again_ends_the_graph(tmp_path: Path) -> None:
    with graph_run(tmp_path, count(tmp_path, QUEUE, throw_at=20, max=2)) as run:
        assert run.wait() == 1
        assert "warning: src: Error: unplugged; starting again now (1 of 2 in 60 s)" in run.stderr
        assert "error: src: has failed: Error: unplugged; the rest of the graph goes on" in run.stderr
        run.all_gone()


PROGRAM = """\
name: program
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 100000, every_ms: 1}}}}
  x: {{exec: {command}, in: {{x: src.out}}}}
"""


def test_a_program_that_ends_by_itself_ends_the_graph(tmp_path: Path) -> None:
    with graph_run(tmp_path, PROGRAM.format(command="sh -c 'echo so long; exit 3'")) as run:
        assert run.wait() == 1
        assert "error: x: ended by itself with exit code 3" in run.stderr
        assert next((tmp_path / "state").rglob("x.log")).read_text() == "so long\n"
        run.all_gone()


def test_a_program_that_the_system_cannot_execute(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("\0neither a binary nor a script")
    (tmp_path / "mine").chmod(0o755)
    with graph_run(tmp_path, PROGRAM.format(command=tmp_path / "mine")) as run:
        assert run.wait() == 1
        assert f"error: x: '{tmp_path}/mine' cannot be executed: Exec format error" in run.stderr
        assert "Traceback" not in run.stderr
        run.all_gone()


def test_a_program_that_says_nothing_is_named(tmp_path: Path) -> None:
    with graph_run(tmp_path, PROGRAM.format(command="sleep 600") + "start_within: 2s\n") as run:
        assert run.wait() == 1
        assert "error: x: not ready within 2 s" in run.stderr
        run.all_gone()


def test_a_program_is_told_who_it_is(tmp_path: Path) -> None:
    command = "sh -c 'cat $VOICEGRAPH_NODE; env | grep -E \"OMP_NUM|TMPDIR\"; exit 1'"
    text = PROGRAM.format(command=command).replace(
        "in: {x: src.out}", "in: {x: src.out}, resources: {threads: 3}, with: {a: ü}"
    )
    with graph_run(tmp_path, text) as run:
        assert run.wait() == 1
        log = next((tmp_path / "state").rglob("x.log")).read_text()
        assert '"protocol":1,"graph":"program","instance":"x"' in log
        assert '"with":{"a":"ü"}' in log
        assert "OMP_NUM_THREADS=3" in log
        assert "TMPDIR=" in log
