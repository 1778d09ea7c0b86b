"""From a right file to a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.loops import closing, loops
from graph.plan import Edge, Instance, Plan
from graph.planning import build
from graph.registry import Registry
from graph.spec import read_spec
from graph.yaml_text import parse

ROOT = Path(__file__).parents[2]
SAMPLES = Registry({f"s.{c.lower()}": f"tests.graph.sample_nodes:{c}" for c in ("Source", "Double", "Print", "Watch")})


def plan(text: str, file: str = "graphs/g.yaml") -> Plan:
    tree, problems = parse(text, file)
    return build(read_spec(tree, file, problems), SAMPLES)


CHAIN = """\
nodes:
  src: {use: s.source, with: {path: x}}
  dbl:
    use: s.double
    in: {numbers: {from: src.numbers, link: queue}}
    replicas: 2
    resources: {threads: 3}
  out: {use: s.print, in: {numbers: [dbl.doubled, src.mixed]}}
  watch: {use: s.watch, in: {marks: "*.telemetry"}}
"""


class TestNodes:
    def test_what_is_known_of_each(self) -> None:
        planned = plan(CHAIN)
        assert (planned.name, planned.file) == ("g", "graphs/g.yaml")
        src, dbl, out, _ = planned.nodes
        assert (src.use, src.target) == ("s.source", "tests.graph.sample_nodes:Source")
        assert src.config == {"path": "x", "pace": "fast"}, "defaults are filled in"
        assert src.models == ("model-of-x",)
        assert [n.name for n in planned.nodes if n.source] == ["src"]
        assert (dbl.instances, dbl.resources.threads) == (("dbl.0", "dbl.1"), 3)
        assert (out.instances, out.resources.threads, out.terminal) == (("out",), None, True)

    def test_endpoints_are_bound_only_where_they_are_needed(self) -> None:
        assert plan(CHAIN).instances == (
            Instance("src", "src", out="ipc://{run}/src.out", credit="ipc://{run}/src.credit"),
            Instance("dbl.0", "dbl", out="ipc://{run}/dbl.0.out", work="ipc://{run}/dbl.0.work"),
            Instance("dbl.1", "dbl", 1, out="ipc://{run}/dbl.1.out", work="ipc://{run}/dbl.1.work"),
            Instance("out", "out", out="ipc://{run}/out.out"),
            Instance("watch", "watch", out="ipc://{run}/watch.out"),
        )

    def test_tcp_ports_are_handed_out_in_order(self) -> None:
        planned = plan(CHAIN + "transport: {kind: tcp, first_port: 9000}\n")
        assert [(i.out, i.work, i.credit) for i in planned.instances] == [
            ("tcp://127.0.0.1:9000", "", "tcp://127.0.0.1:9001"),
            ("tcp://127.0.0.1:9002", "tcp://127.0.0.1:9003", ""),
            ("tcp://127.0.0.1:9004", "tcp://127.0.0.1:9005", ""),
            ("tcp://127.0.0.1:9006", "", ""),
            ("tcp://127.0.0.1:9007", "", ""),
        ]

    def test_a_plan_survives_its_file(self) -> None:
        planned = plan(CHAIN)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(planned), type=Plan) == planned


class TestEdges:
    def test_defaults_by_link(self) -> None:
        queue, stream = plan(CHAIN).edges[:2]
        assert queue == Edge("src", "numbers", "dbl", "numbers", "queue", 64, "block")
        assert stream == Edge("dbl", "doubled", "out", "numbers", "stream", 1000, "drop_newest")

    def test_what_the_file_says_of_a_link(self) -> None:
        text = CHAIN.replace("link: queue", "link: queue, depth: 3, when_full: drop_oldest")
        assert plan(text).edges[0] == Edge("src", "numbers", "dbl", "numbers", "queue", 3, "drop_oldest")

    def test_a_wildcard_is_every_other_node_that_has_the_port(self) -> None:
        assert [e.id for e in plan(CHAIN).edges if e.consumer == "watch"] == [
            "src.telemetry->watch.marks",
            "dbl.telemetry->watch.marks",
            "out.telemetry->watch.marks",
        ]

    def test_listeners_to_one_wildcard_do_not_hear_each_other(self) -> None:
        second = '  second: {use: s.watch, in: {marks: "*.telemetry"}}\n  third: {use: s.watch, in: {marks: watch.telemetry}}\n'
        edges = plan(CHAIN + second).edges
        assert {e.producer for e in edges if e.consumer == "watch"} == {"src", "dbl", "out", "third"}
        assert {e.producer for e in edges if e.consumer == "third"} == {"watch"}

    def test_what_a_wildcard_repeats_is_meant_once(self) -> None:
        text = CHAIN.replace('"*.telemetry"', '["*.telemetry", {from: src.telemetry, depth: 9}]')
        edges = [e for e in plan(text).edges if e.consumer == "watch"]
        assert [(e.producer, e.depth) for e in edges] == [("dbl", 1000), ("out", 1000), ("src", 9)]

    def test_the_edge_that_leads_back_towards_the_source_is_feedback(self) -> None:
        loop = """\
nodes:
  b: {use: s.double, in: {numbers: [src.numbers, c.doubled]}}
  c: {use: s.double, in: {numbers: b.doubled}}
  src: {use: s.source, with: {path: x}}
"""
        assert [e.id for e in plan(loop).edges if e.feedback] == ["c.doubled->b.numbers"]

    def test_a_queue_that_drops_may_close_a_loop(self) -> None:
        loop = """\
nodes:
  src: {use: s.source, with: {path: x}}
  b: {use: s.double, in: {numbers: [src.numbers, {from: c.doubled, link: queue, when_full: drop_newest}]}}
  c: {use: s.double, in: {numbers: {from: b.doubled, link: queue}}}
"""
        assert [e.id for e in plan(loop).edges if e.feedback] == ["c.doubled->b.numbers"]

    def test_in_the_shipped_graph_stages_drop_what_is_stale_and_are_told_what_was_heard(self) -> None:
        tree, problems = parse((ROOT / "pipelines.yaml").read_text(), "pipelines.yaml")
        shipped = build(read_spec(tree, "pipelines.yaml", problems), Registry.installed())
        kept = ["turn.utterance->stt.speech", "stt.text->llm.text", "llm.tokens->tts.text", "turn.apology->tts.text"]
        queues = [edge for edge in shipped.edges if edge.link == "queue"]
        assert sorted(edge.id for edge in queues if edge.delivery == "at_least_once") == sorted(kept)
        assert sorted(edge.id for edge in queues if edge.stale) == sorted(kept)
        assert [edge.id for edge in queues if not edge.stale] == ["sink.played->llm.played"], "it tells of turns that are over"


@st.composite
def graphs(draw: st.DrawFn) -> str:
    """Right files: a source, then doublers that listen to anything, with any links; loops by stream or dropping queue."""
    count = draw(st.integers(1, 6))
    lines = ["nodes:", "  n0: {use: s.source, with: {path: x}}"]
    for n in range(1, count + 1):
        inputs = ["n0.numbers"]
        for other in draw(st.lists(st.integers(1, count), max_size=3, unique=True)):
            link = draw(st.sampled_from(["link: stream", "link: queue, when_full: drop_oldest"]))
            inputs.append(f"{{from: n{other}.doubled, {link}, depth: {draw(st.integers(1, 99))}}}")
        lines.append(f"  n{n}: {{use: s.double, replicas: {draw(st.integers(1, 3))}, in: {{numbers: [{', '.join(inputs)}]}}}}")
    return "\n".join([*lines, f"transport: {draw(st.sampled_from(['ipc', 'tcp']))}"])


@settings(max_examples=40)
@given(graphs())
def test_every_edge_has_both_ends(text: str) -> None:
    planned = plan(text)
    for edge in planned.edges:
        producers = [i for i in planned.instances if i.node == edge.producer]
        consumers = [i for i in planned.instances if i.node == edge.consumer]
        assert [i.id for i in producers] == list(planned.node(edge.producer).instances)
        assert all(i.credit for i in producers) or edge.link == "stream"
        assert all(i.work for i in consumers) or edge.link == "stream"
    endpoints = [e for i in planned.instances for e in (i.out, i.work, i.credit) if e]
    assert len(endpoints) == len(set(endpoints)), "no two sockets on one address"
    assert len({e.id for e in planned.edges}) == len(planned.edges)


ARCS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), max_size=12)


@given(ARCS)
def test_without_the_closing_arcs_nothing_loops(arcs: list[tuple[str, str]]) -> None:
    left = [arc for arc in arcs if arc not in closing("abcde", arcs)]
    assert closing("abcde", left) == set()


@given(ARCS)
def test_a_loop_is_one(arcs: list[tuple[str, str]]) -> None:
    for loop in loops("abcde", arcs):
        assert all(arc in arcs for arc in zip(loop, [*loop[1:], loop[0]], strict=True))
        assert loop[0] == min(loop)


def test_paths_in_parameters_stay_as_they_are(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan(CHAIN.replace("path: x", "path: ../a/b.wav")).node("src").config["path"] == "../a/b.wav"
