"""Nodes and links come and go while messages flow: nothing is lost on those that stay, and on the others all is counted."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from graph.commands import Apply, CommandClient
from graph.load import load_plan
from graph.rundir import RunDir

from .graphs import GraphRun, eventually, graph_run, interrupt
from .test_commands import graph, status
from .test_scaling import SESSIONS, Line, book, check_order, flows
from .test_swap import pids

BASE = """\
name: demo
nodes:
  src: {{use: "tests.system.actors:Count", with: {{count: 1000000, every_ms: 1, sessions: 24}}}}
  mid: {{use: "tests.system.scaling_actors:Tally", in: {{x: src.out}}}}
  end: {{use: "tests.system.scaling_actors:Book", in: {{x: mid.out}}, with: {{file: "{folder}/book.txt"}}}}
"""
RECORDER = """\
  rec: {{use: "tests.system.scaling_actors:Book", in: {{x: {link}}}, with: {{file: "{folder}/rec.txt"}}}}
"""
LINKS = {"stream": "mid.out", "queue": "{from: mid.out, link: queue, depth: 8}"}


def apply(run: GraphRun, text: str) -> str:
    """Make the graph what a text says; returns what the command told."""
    (run.folder / "graph.yaml").write_text(text)
    said = graph(run.runtime, "apply", str(run.folder / "graph.yaml"))
    assert (said.returncode, said.stderr) == (0, ""), said.stderr + run.stderr
    return said.stdout


def check_part(lines: list[Line]) -> None:
    """Of every session a stretch without a gap, each once, in order."""
    by_session = defaultdict(list)
    for session, n, _, _ in lines:
        by_session[session].append(n)
    assert len(by_session) == SESSIONS
    for session, seen in by_session.items():
        assert seen == list(range(seen[0], seen[-1] + 1, SESSIONS)), session


def accounted(run: GraphRun, *names: str) -> None:
    for name in names:
        edge = run.edge(name)
        assert edge["sent"] == edge["delivered"] > 0, edge
        assert edge["dropped"] == edge["rejected"] == 0, edge


@pytest.mark.parametrize("link", LINKS)
def test_a_recorder_comes_and_goes_and_comes_again(tmp_path: Path, link: str) -> None:
    base = BASE.format(folder=tmp_path)
    more = base + RECORDER.format(folder=tmp_path, link=LINKS[link])
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        before = pids(run)
        for time in range(2):
            assert apply(run, more).splitlines()[:2] == ["rec: new: tests.system.scaling_actors:Book", "mid.out->rec.x: new"]
            had = len(book(tmp_path, "rec.txt"))
            eventually(lambda had=had: len(book(tmp_path, "rec.txt")) > had + 300, f"it records\n{run.stderr}")
            assert {name: pid for name, pid in pids(run).items() if not name.startswith("rec")} == before
            apply(run, base)
            assert pids(run) == before, "it has gone, and all others are who they were"
            lines = book(tmp_path, "rec.txt")
            check_part(lines)
            assert {one[3] for one in lines} == {"mid"}
            flows(run)
            (tmp_path / "rec.txt").rename(tmp_path / f"rec.{time}.txt")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        accounted(run, "src.out->mid.x", "mid.out->end.x", "mid.out->rec.x")
        recorded = sum(len(book(tmp_path, f"rec.{time}.txt")) for time in range(2))
        assert run.edge("mid.out->rec.x")["delivered"] == recorded
        assert [n["node"] for n in run.report["nodes"]] == ["src", "mid", "end", "rec", "rec"]
        run.all_gone()


def test_a_chain_and_a_source_of_its_own_come_and_go(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path)
    more = base.replace("{x: mid.out}", "{x: mid.out, y: extra.out}") + (
        '  extra: {use: "tests.system.scaling_actors:Tally", in: {x: {from: other.out, link: queue}}}\n'
        '  other: {use: "tests.system.actors:Count", with: {count: 1000000, every_ms: 2, sessions: 24}}\n'
    )
    with graph_run(tmp_path, base.replace("Book", "TwoBook")) as run:
        run.running()
        flows(run)
        before = pids(run)
        apply(run, more.replace("Book", "TwoBook"))
        eventually(lambda: len(book(tmp_path, "book.txt.y")) > 300, f"the other one is heard\n{run.stderr}")
        assert {name: pid for name, pid in pids(run).items() if name in before} == before
        apply(run, base.replace("Book", "TwoBook"))
        flows(run)
        assert pids(run) == before
        check_order(book(tmp_path, "book.txt.y"))
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        accounted(run, "src.out->mid.x", "mid.out->end.x", "extra.out->end.y", "other.out->extra.x")
        run.all_gone()


def test_a_node_is_put_in_between(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path)
    more = base.replace("x: mid.out", "x: mid2.out") + (
        '  mid2: {use: "tests.system.scaling_actors:Again", in: {x: mid.out}}\n'
    )
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        before = pids(run)
        apply(run, more)
        flows(run)
        assert {name: pid for name, pid in pids(run).items() if name in before} == before
        apply(run, base)
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        heard = {n for _, n, _, _ in book(tmp_path)}
        assert heard == set(range(max(heard) + 1)), "nothing is lost; both ways are open for a moment, so some come twice"
        accounted(run, "src.out->mid.x", "mid.out->end.x", "mid.out->mid2.x", "mid2.out->end.x")
        run.all_gone()


@pytest.mark.parametrize("link", ["src.out", "{from: src.out, link: queue}"])
def test_a_node_gets_another_name(tmp_path: Path, link: str) -> None:
    base = BASE.format(folder=tmp_path).replace("src.out", link)
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        before = pids(run)
        told = apply(run, base.replace("mid", "relay"))
        assert told == "relay: was 'mid'\n'demo' is what its file says\n"
        flows(run)
        after = pids(run)
        assert set(after) == {"src", "relay", "end"}
        assert all(after[name] == before[name] for name in ("src", "end"))
        interrupt(run)
        assert run.wait() == 0, run.stderr
        lines = book(tmp_path)
        assert {by for *_, by in lines} == {"mid", "relay"}
        if "queue" in link:
            assert sorted(n for _, n, _, _ in lines) == list(range(len(lines)))
        else:
            check_order(lines)
        accounted(run, "src.out->mid.x", "src.out->relay.x", "mid.out->end.x", "relay.out->end.x")
        run.all_gone()


def test_what_cannot_load_changes_nothing(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path)
    (tmp_path / "broken").touch()
    more = base.replace("{x: mid.out}", "{x: bad.out}") + (
        f'  bad: {{use: "tests.system.scaling_actors:Tally", in: {{x: src.out}}, with: {{broken: "{tmp_path}/broken"}}}}\n'
    )
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        before = pids(run)
        (tmp_path / "graph.yaml").write_text(more)
        said = graph(run.runtime, "apply", str(tmp_path / "graph.yaml"))
        assert said.returncode == 1
        assert "bad: there is no model: pull it first; the graph goes on as it was" in said.stderr
        eventually(lambda: pids(run) == before, "nobody was touched")
        flows(run)
        (tmp_path / "broken").unlink()
        apply(run, more)
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        run.all_gone()


def test_a_link_gets_other_settings_while_it_is_used(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path).replace("{x: src.out}", "{x: {from: src.out, link: queue, depth: 4}}")
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        before = pids(run)
        for depth in (64, 2):
            assert f"depth: {4 if depth == 64 else 64} -> {depth}" in apply(run, base.replace("depth: 4", f"depth: {depth}"))
            flows(run)
        assert pids(run) == before
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        accounted(run, "src.out->mid.x", "mid.out->end.x")
        run.all_gone()


OTHER = """\
  other: {use: "tests.system.scaling_actors:Tally", in: {x: src.out}}
"""


def test_a_link_to_a_node_that_is_stopped_holds_nobody_up(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path).replace("Book", "TwoBook") + OTHER
    base += '  idle: {use: "tests.system.scaling_actors:Again", in: {x: other.out}}\n'
    more = base.replace("{x: mid.out}", "{x: mid.out, y: other.out}")
    more = more.replace("in: {x: other.out}", "in: {x: [other.out, {from: mid.out, link: queue, depth: 4}]}")
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        for node in ("other", "idle"):
            assert graph(run.runtime, "stop", node).returncode == 0, run.stderr
        apply(run, more)
        flows(run)
        assert graph(run.runtime, "start", "other").returncode == 0, run.stderr
        eventually(lambda: len(book(tmp_path, "book.txt.y")) > 100, f"it is heard\n{run.stderr}")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        edge = run.edge("mid.out->idle.x")
        assert edge["dropped"] == edge["sent"] > 0, edge
        run.all_gone()


def test_a_queue_goes_whose_taker_is_stopped(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path) + '  idle: {use: "tests.system.scaling_actors:Again", in: {x: %s}}\n'
    queue = "[mid.out, {from: other.out, link: queue, delivery: at_least_once, depth: 10}]"
    with graph_run(tmp_path, (base % queue) + OTHER) as run:
        run.running()
        flows(run)
        assert graph(run.runtime, "stop", "idle").returncode == 0, run.stderr
        flows(run)
        apply(run, (base % "mid.out") + OTHER)
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        edge = run.edge("other.out->idle.x")
        assert edge["sent"] == edge["delivered"] + edge["dead_lettered"], "what is left is set aside"
        assert edge["dead_lettered"] > 0
        run.all_gone()


def test_a_queue_from_a_node_that_has_finished_ends(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path)
    base += '  few: {use: "tests.system.actors:Count", with: {count: 5}}\n'
    base += '  done: {use: "tests.system.scaling_actors:Tally", in: {x: few.out}}\n'
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        eventually(lambda: "drained" in {i["health"] for i in status(run)["instances"]}, "it has finished")
        apply(run, base + RECORDER.format(folder=tmp_path, link="{from: done.out, link: queue}"))
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        run.all_gone()


def on_tcp(text: str, port: int) -> str:
    return text.replace("name: demo\n", f"name: demo\ntransport: {{kind: tcp, first_port: {port}}}\n")


def test_a_queue_that_comes_at_last_may_have_another_port(tmp_path: Path, unused_ports: int) -> None:
    base = on_tcp(BASE.format(folder=tmp_path), unused_ports).replace("Book", "TwoBook")
    (tmp_path / "broken").touch()
    more = base.replace("{x: mid.out}", "{x: mid.out, y: {from: other.out, link: queue}}") + OTHER
    bad = f'  bad: {{use: "tests.system.scaling_actors:Tally", in: {{x: src.out}}, with: {{broken: "{tmp_path}/broken"}}}}\n'
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        (tmp_path / "graph.yaml").write_text(more + bad)
        assert graph(run.runtime, "apply", str(tmp_path / "graph.yaml")).returncode == 1, run.stderr
        apply(run, more)
        eventually(lambda: len(book(tmp_path, "book.txt.y")) > 300, f"the queue is used\n{run.stderr}")
        interrupt(run)
        assert run.wait() == 0, run.stderr
        accounted(run, "src.out->mid.x", "mid.out->end.x", "other.out->end.y")
        run.all_gone()


def test_a_new_input_is_not_silent_before_it_has_come(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path).replace("Book", "TwoBook")
    (tmp_path / "busy").touch()
    more = base.replace("{x: mid.out}", "{x: mid.out, y: {from: other.out, input_timeout: 1s}}") + OTHER.replace(
        "src.out}", f'src.out}}, with: {{busy: "{tmp_path}/busy"}}'
    )
    with graph_run(tmp_path, base) as run:
        run.running()
        flows(run)
        (tmp_path / "graph.yaml").write_text(more)
        (folder,) = (run.runtime / "vg").iterdir()
        with CommandClient(folder) as client:
            client.ask(Apply(load_plan(tmp_path / "graph.yaml")))
        had = len(book(tmp_path))
        eventually(lambda: len(book(tmp_path)) > had + 2500, "more than two seconds of messages have come")
        (tmp_path / "busy").unlink()
        eventually(lambda: len(book(tmp_path, "book.txt.y")) > 300, f"it is heard\n{run.stderr}")
        assert "nothing from other.out" not in run.stderr
        interrupt(run)
        assert run.wait() == 0, run.stderr
        run.all_gone()


def test_a_port_that_is_given_again_is_another_s(tmp_path: Path, unused_ports: int) -> None:
    with graph_run(tmp_path, on_tcp(BASE.format(folder=tmp_path), unused_ports)) as run:
        run.running()
        flows(run)
        for count in (2, 1, 2):
            assert graph(run.runtime, "scale", "mid", str(count)).returncode == 0, run.stderr
        had = len(book(tmp_path))
        eventually(lambda: len(book(tmp_path)) > had + 6000, "by now all have forgotten who had the port before")
        assert len({by for *_, by in book(tmp_path)[-200:]}) == 2
        interrupt(run)
        assert run.wait() == 0, run.stderr
        check_order(book(tmp_path))
        run.all_gone()


def test_a_queue_goes_though_its_producer_dies(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path)
    slow = '  slow: {use: "tests.system.actors:SlowCollect", in: {x: {from: src.out, link: queue, when_full: drop_newest}}, '
    more = (
        base.replace("{x: src.out}", "{x: relay.out}") + slow.replace("src", "relay") + f'with: {{file: "{tmp_path}/slow"}}}}\n'
    )
    relay = '  relay: {use: "tests.system.link_actors:Same", in: {x: src.out}}\n'
    with graph_run(tmp_path, more + relay) as run:
        run.running()
        flows(run)
        (folder,) = (run.runtime / "vg").iterdir()
        (tmp_path / "graph.yaml").write_text(base.replace("{x: src.out}", "{x: relay.out}") + relay)
        with CommandClient(folder) as client:
            client.ask(Apply(load_plan(tmp_path / "graph.yaml")))
            eventually(lambda: RunDir(folder).read_epoch().committed, "the hand-over begins")
            assert "slow" in pids(run), "it still has work"
            run.workers()["relay"].kill()
            eventually(lambda: not client.status().changing, f"it is over\n{run.stderr}")
        assert "slow" not in pids(run)
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        edge = run.edge("relay.out->slow.x")
        assert edge["sent"] == edge["delivered"] + edge["dropped"], edge
        run.all_gone()


def test_who_dies_while_another_leaves_hears_what_came(tmp_path: Path) -> None:
    base = BASE.format(folder=tmp_path).replace("Book", "TwoBook")
    queue = "{from: src.out, link: queue, depth: 1000, when_full: drop_newest}"
    slow = f'  slow: {{use: "tests.system.actors:SlowCollect", in: {{x: {queue}}}, with: {{file: "{tmp_path}/slow"}}}}\n'
    with graph_run(tmp_path, base + slow) as run:
        run.running()
        flows(run)
        (folder,) = (run.runtime / "vg").iterdir()
        (tmp_path / "graph.yaml").write_text(base.replace("{x: mid.out}", "{x: mid.out, y: other.out}") + OTHER)
        with CommandClient(folder) as client:
            client.ask(Apply(load_plan(tmp_path / "graph.yaml")))
            eventually(lambda: book(tmp_path, "book.txt.y"), f"it has come\n{run.stderr}")
            run.workers()["end"].kill()
            eventually(lambda: "end: running again" in run.stderr, "it is started again")
            had = len(book(tmp_path, "book.txt.y"))
            eventually(lambda: len(book(tmp_path, "book.txt.y")) > had + 100, "it hears it again")
            run.workers()["slow"].kill()
            eventually(lambda: not client.status().changing, f"it is over\n{run.stderr}")
        flows(run)
        interrupt(run)
        assert run.wait() == 0, run.stderr
        edge = run.edge("other.out->end.y")
        assert edge["sent"] == edge["delivered"] + edge["dropped"], edge
        run.all_gone()
