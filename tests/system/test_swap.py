"""A running graph becomes what its file says: versions of a node take over from each other, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graph.commands import Apply, CommandClient
from graph.load import load_plan
from graph.rundir import RunDir

from .graphs import ROOT, GraphRun, eventually, graph_run, interrupt
from .test_commands import graph, status
from .test_scaling import book, check_order, flows

GRAPH = """\
name: demo  # kept
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1000000, every_ms: 1, sessions: 24}}}}
  mid:
    use: "tests.system.scaling_actors:Tally"
    in: {{x: src.out}}
    with: {{version: 0, label: a}}  # the ears
    restart: {{max: 2}}
  end: {{use: "tests.system.scaling_actors:Book", in: {{x: mid.out}}, with: {{file: "{folder}/book.txt"}}}}
"""


def text(run: GraphRun) -> str:
    return (run.folder / "graph.yaml").read_text()


def labels(folder: Path) -> set[str]:
    return {line.split()[4] for line in (folder / "book.txt").read_text().splitlines()[-200:-1]}


def pids(run: GraphRun) -> dict[str, int]:
    return {name: process.pid for name, process in run.workers().items()}


def test_a_version_takes_over_from_the_one_before_and_the_file_says_so(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path)) as run:
        run.running()
        flows(run)
        before = pids(run)
        said = graph(run.runtime, "swap", "mid", "--with", "version=1")
        assert (said.returncode, said.stderr) == (0, ""), run.stderr
        assert said.stdout == "mid: version: 0 -> 1\n'demo' is what its file says\n"
        assert text(run) == GRAPH.format(folder=tmp_path).replace("version: 0", "version: 1")
        flows(run)
        after = pids(run)
        assert {name: after[name] for name in ("src", "end")} == {name: before[name] for name in ("src", "end")}
        assert set(after) == {"src", "end", "mid+1"}
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        for name in ("src.out->mid.x", "mid.out->end.x"):
            edge = run.edge(name)
            assert (edge["dropped"], edge["sent"]) == (0, edge["delivered"]), edge
        run.all_gone()


def test_what_is_changeable_changes_in_place(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path)) as run:
        run.running()
        flows(run)
        before = pids(run)
        assert graph(run.runtime, "swap", "mid", "--with", "label=b").returncode == 0, run.stderr
        flows(run)
        assert labels(tmp_path) == {"b"}
        assert pids(run) == before
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))


def test_a_file_is_compared_and_applied(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path)) as run:
        run.running()
        flows(run)
        file = tmp_path / "graph.yaml"
        assert graph(run.runtime, "diff", str(file)).stdout == "nothing differs\n"
        assert graph(run.runtime, "apply", str(file)).stdout == "nothing to change\n"
        file.write_text(text(run).replace("version: 0", "version: 1").replace("max: 2", "max: 3"))
        assert graph(run.runtime, "diff", str(file)).stdout == "mid: version: 0 -> 1\nmid: restart.max: 2 -> 3\n"
        told = json.loads(graph(run.runtime, "diff", str(file), "--json").stdout)
        assert told[0] == {"where": "mid", "change": "version: 0 -> 1", "applies": True}
        assert graph(run.runtime, "apply", str(file)).returncode == 0
        assert graph(run.runtime, "diff", str(file)).stdout == "nothing differs\n"
        file.write_text(text(run).replace("src.out}", "{from: src.out, link: queue}}"))
        said = graph(run.runtime, "apply", str(file))
        assert (said.returncode, said.stderr) == (
            1,
            "a running graph cannot be changed so: src.out->mid.x: link: stream -> queue (end it and run it again)\n",
        )
        file.write_text(text(run).replace("version: 1", "versoin: 1"))
        said = graph(run.runtime, "apply", str(file))
        assert said.returncode == 2
        assert "unknown parameter 'versoin' (did you mean 'version'?)" in said.stderr
        flows(run)


def test_saving_the_file_changes_the_graph(tmp_path: Path) -> None:
    file = tmp_path / "graph.yaml"
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path), "--watch") as run:
        run.running()
        flows(run)
        file.write_text(text(run).replace("version: 0", "version: 1"))
        eventually(lambda: "done: 'mid': version: 0 -> 1" in run.stderr, f"it is changed\n{run.stderr}")
        (tmp_path / "other.tmp").write_text(text(run).replace("version: 1", "version: 2"))
        (tmp_path / "other.tmp").rename(file)
        eventually(lambda: "done: 'mid': version: 1 -> 2" in run.stderr, f"it is changed again\n{run.stderr}")
        whole = text(run)
        file.write_text(whole[:-20])
        eventually(lambda: "the file was saved, but the graph stays as it is:\n" in run.stderr, f"it is told\n{run.stderr}")
        flows(run)
        file.write_text(whole.replace("label: a", "label: b"))
        eventually(lambda: "done: 'mid': label: a -> b" in run.stderr, f"it goes on\n{run.stderr}")
        flows(run)
        assert labels(tmp_path) == {"b"}
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))


MINE = """\
from collections.abc import Iterator
from graph.message import Message
from graph.node import Outgoing
from tests.system.actors import Number
from tests.system.scaling_actors import Tallied, Tally

class Mine(Tally):
    def on_x(self, message: Message[Number]) -> Outgoing:
        said = super().on_x(message).body
        return self.out(Tallied(said.n, said.count, said.by, "first"))
"""


def test_saving_the_code_of_a_node_replaces_it(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(MINE)
    text = GRAPH.format(folder=tmp_path).replace("tests.system.scaling_actors:Tally", "mine:Mine")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with graph_run(tmp_path, text, "--reload", PYTHONPATH=path) as run:
        run.running()
        flows(run)
        before = pids(run)
        code.write_text(MINE.replace('"first"', '"second"'))
        eventually(lambda: "done: 'mid': its code" in run.stderr, f"it is replaced\n{run.stderr}")
        flows(run)
        assert labels(tmp_path) == {"second"}
        code.write_text(MINE.replace("class Mine", "class Mine:"))
        eventually(lambda: "the file was saved, but the graph stays as it is" in run.stderr, f"it is told\n{run.stderr}")
        assert "Traceback" not in run.stderr
        flows(run)
        after = pids(run)
        assert (after["src"], after["end"]) == (before["src"], before["end"])
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))


def test_the_next_supervisor_makes_it_what_the_file_says_by_then(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path)) as run:
        run.running()
        flows(run)
        before = pids(run)
        run.process.kill()
        run.process.wait()
        (tmp_path / "graph.yaml").write_text(text(run).replace("version: 0", "version: 1"))
        (tmp_path / "second").mkdir()
        with graph_run(tmp_path / "second", tmp_path / "graph.yaml", XDG_RUNTIME_DIR=str(run.runtime)) as second:
            eventually(lambda: "done: 'mid': version: 0 -> 1" in second.stderr, f"it is changed\n{second.stderr}")
            flows(run)
            after = pids(run)
            assert (after["src"], after["end"]) == (before["src"], before["end"])
            interrupt(second)
            assert second.wait() == 0, second.stderr
        check_order(book(tmp_path))
        run.all_gone()


def test_a_version_that_cannot_load_is_thrown_away(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path)) as run:
        run.running()
        flows(run)
        (tmp_path / "broken").touch()
        before = pids(run)
        said = graph(run.runtime, "swap", "mid", "--with", f"broken={tmp_path}/broken")
        assert said.returncode == 1
        assert "not done: mid+1: there is no model: pull it first; the graph goes on as it was" in said.stderr
        assert text(run) == GRAPH.format(folder=tmp_path), "the file is as it was"
        eventually(lambda: pids(run) == before, "nobody was touched")
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))


def test_who_was_not_there_when_a_producer_left_counts_what_it_missed(tmp_path: Path) -> None:
    talks = tmp_path / "talks"
    talks.touch()
    file = GRAPH.format(folder=tmp_path).replace("label: a", f"label: a, talks: {talks}")
    with graph_run(tmp_path, file) as run:
        run.running()
        flows(run)
        client = subprocess.Popen(
            [sys.executable, "-m", "graph.cli", "swap", "mid", "--with", "version=1"],
            cwd=ROOT,
            env={**os.environ, "XDG_RUNTIME_DIR": str(run.runtime)},
        )
        (folder,) = (run.runtime / "vg").iterdir()
        eventually(lambda: RunDir(folder).read_epoch().committed, "the hand-over begins")
        end = run.workers()["end"]
        end.suspend()
        with CommandClient(folder) as status_of:  # what the old version says now is never heard

            def sent() -> int:
                return status_of.status().edges["mid.out->end.x"].sent

            had = sent()
            eventually(lambda: sent() > had + 300, "the old version goes on")
        talks.unlink()
        assert client.wait(timeout=30) == 0, run.stderr
        end.kill()
        eventually(lambda: "running again (life 1)" in run.stderr, "it is started again")
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        edge = run.edge("mid.out->end.x")
        assert edge["dropped"] > 100
        assert edge["sent"] == edge["delivered"] + edge["dropped"], edge
        run.all_gone()


FIFTY = """\
name: fifty
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1000000, every_ms: 1, sessions: 24}}}}
  mid: {{use: "tests.system.scaling_actors:Tally", in: {{x: src.out}}, restart: never, with: {{version: {mid}{broken_mid}}}}}
  work:
    use: "tests.system.scaling_actors:Tally"
    in: {{x: {{from: src.out, link: queue, order: session}}}}
    replicas: 3
    restart: never
    with: {{version: {work}{broken_work}}}
  end: {{use: "tests.system.scaling_actors:Book", in: {{x: mid.out}}, with: {{file: "{folder}/book.txt"}}}}
  done: {{use: "tests.system.scaling_actors:Book", in: {{x: work.out}}, with: {{file: "{folder}/done.txt"}}}}
"""


def test_fifty_swaps_under_load_lose_double_and_overtake_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    file = tmp_path / "graph.yaml"
    said = {"folder": tmp_path, "mid": 0, "work": 0, "broken_mid": "", "broken_work": ""}
    file.write_text(FIFTY.format(**said))
    with graph_run(tmp_path, file) as run:
        run.running()
        flows(run)
        (folder,) = (run.runtime / "vg").iterdir()
        undone = 0
        with CommandClient(folder) as client:
            for swap in range(50):
                node = ("mid", "work")[swap % 2]
                broken = swap % 7 == 3
                said[node] = swap + 1
                said[f"broken_{node}"] = f', broken: "{tmp_path}/broken"' if broken else ""
                file.write_text(FIFTY.format(**said))
                client.ask(Apply(load_plan(file)))
                eventually(lambda: not client.status().changing, f"swap {swap} is over\n{run.stderr[-2000:]}")
                change = client.status().change
                assert change is not None
                assert change.stage == ("undone" if broken else "done"), run.stderr[-2000:]
                undone += broken
                if broken:
                    said[f"broken_{node}"] = ""
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr[-2000:]
        check_order(book(tmp_path))
        versions = {by for *_, by in book(tmp_path)}
        assert len(versions) == 26, "all have worked: what could not load did so with the next edit"
        done = [line.split() for line in (tmp_path / "done.txt").read_text().splitlines()]
        assert sorted(int(n) for _, n, *_ in done) == list(range(len(done))), "each once"
        # Two takers of a queue are two producers: whoever hears both may hear them in another order.
        for session, by in {(one[0], one[3]) for one in done}:
            numbers = [int(n) for of, n, _, who, _ in done if (of, who) == (session, by)]
            assert numbers == sorted(numbers), "in order"
        for edge in run.report["edges"]:
            assert edge["dropped"] == 0, edge
        run.all_gone()


def test_a_version_that_dies_soon_gives_way_to_the_one_before(tmp_path: Path) -> None:
    with graph_run(tmp_path, GRAPH.format(folder=tmp_path)) as run:
        run.running()
        flows(run)
        graph(run.runtime, "swap", "mid", "--with", "dies_at=100", "--with", "version=1")
        told = "mid+1: the new version died soon after it had taken over"
        eventually(lambda: told in run.stderr, f"it dies\n{run.stderr}")
        eventually(lambda: not status(run)["changing"], f"it goes back\n{run.stderr}")
        flows(run)
        assert {by for *_, by in book(tmp_path)[-200:]} == {"mid+3"}
        interrupt(run)
        assert run.wait() == 0, run.stderr
        edge = run.edge("src.out->mid.x")
        assert edge["sent"] == edge["delivered"] + edge["dropped"]
        run.all_gone()


def test_a_version_that_has_no_room_beside_the_other_takes_its_place(tmp_path: Path) -> None:
    before = GRAPH.format(folder=tmp_path).replace("    restart:", "    swap: in_place\n    restart:")
    before = before.replace("{x: src.out}", "{x: {from: src.out, link: queue}}")
    with graph_run(tmp_path, before) as run:
        run.running()
        flows(run)
        (tmp_path / "broken").touch()
        first = pids(run)
        said = graph(run.runtime, "swap", "mid", "--with", f"broken={tmp_path}/broken")
        assert said.returncode == 1
        assert "there is no model: pull it first; the version before is back" in said.stderr
        assert text(run) == before, "the file is as it was"
        flows(run)
        second = pids(run)
        assert {name for name in first if first[name] != second[name]} == {"mid"}
        said = graph(run.runtime, "swap", "mid", "--with", "version=1")
        assert (said.returncode, said.stderr) == (0, ""), run.stderr
        flows(run)
        third = pids(run)
        assert {name for name in second if second[name] != third[name]} == {"mid"}
        assert "version: 1" in text(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        lines = book(tmp_path)
        numbers = [n for _, n, _, _ in lines]
        assert numbers == sorted(set(numbers)), "each once, in order"
        counts = {session: count for session, _, count, _ in lines}
        assert sum(counts.values()) == len(lines), "what was known of a session is known to the next process"
        edge = run.edge("src.out->mid.x")
        assert edge["sent"] == edge["delivered"] + edge["dropped"], edge
        run.all_gone()


def test_a_source_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    file = GRAPH.format(folder=tmp_path).replace("sessions: 24}", "sessions: 24}, swap: in_place")
    with graph_run(tmp_path, file) as run:
        run.running()
        flows(run)
        assert graph(run.runtime, "swap", "src", "--with", "every_ms=2").returncode == 0, run.stderr
        flows(run)
        assert "has not left within" not in run.stderr, "it need not be ended by force"
        interrupt(run)
        assert run.wait() == 0, run.stderr
        run.all_gone()


@pytest.mark.parametrize("stage", ["meeting", "restarting"])
def test_the_next_supervisor_lets_a_version_take_the_place_of_the_one_before(tmp_path: Path, stage: str) -> None:
    talks, busy = tmp_path / "talks", tmp_path / "busy"
    talks.touch()
    busy.touch()
    said = (
        GRAPH.format(folder=tmp_path)
        .replace("label: a", f"label: a, talks: {talks}")
        .replace("mid:", "mid:\n    swap: in_place")
    )
    file = tmp_path / "graph.yaml"
    with graph_run(tmp_path, said) as run:
        run.running()
        flows(run)
        before = pids(run)["mid"]
        (folder,) = (run.runtime / "vg").iterdir()
        changed = said.replace("version: 0", "version: 1")
        if stage == "meeting":  # it goes on until the other replica has loaded
            changed = changed.replace("label: a", f"label: a, busy: {busy}").replace("    swap:", "    replicas: 2\n    swap:")
        file.write_text(changed)
        with CommandClient(folder) as client:
            client.ask(Apply(load_plan(file)))
            eventually(lambda: client.status().change and client.status().change.stage == stage, run.stderr)
            eventually(lambda: stage == "restarting" or "mid.1" in pids(run), "the other one loads")
        run.process.kill()
        run.process.wait()
        (tmp_path / "second").mkdir()
        with graph_run(tmp_path / "second", file, XDG_RUNTIME_DIR=str(run.runtime)) as second:
            eventually(lambda: "took over" in second.stderr and status(run)["phase"] == "running", second.stderr)
            talks.unlink()
            busy.unlink()
            eventually(lambda: pids(run).get("mid", before) != before, f"it is started again\n{second.stderr}")
            flows(run)
            assert "failed" not in second.stderr
            interrupt(second)
            assert second.wait() == 0, second.stderr
        run.all_gone()
