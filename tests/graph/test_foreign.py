"""Programs as nodes: how they are planned, wired and told what they need to know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graph.control import Beat
from graph.foreign import UnknownProgram, find_program
from graph.links.counts import PARTITIONS, EdgeStatistics
from graph.load import load_spec
from graph.message import host_id
from graph.node_file import node_file
from graph.plan import Plan
from graph.report import Report
from graph.rundir import RunDir
from tests.graph.test_plan import plan

GRAPH = """\
name: foreign
max_message: 1MB
nodes:
  src: {use: s.source, with: {path: x}}
  js:
    exec: sh -c 'exit 3'
    in:
      numbers: src.numbers
      jobs: {from: src.mixed, link: queue, depth: 5, delivery: at_least_once, order: session}
    out: {doubled: sample.number}
    with: {any: [thing, 1]}
    replicas: 2
    resources: {threads: 3}
    restart: {max: 4}
  out: {use: s.print, in: {numbers: js.doubled, numbers_too: {from: js.doubled, link: queue}}}
  watch: {use: s.watch, in: {marks: "*.telemetry"}}
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def told(planned: Plan, instance: str, life: int, run: RunDir) -> dict[str, Any]:
    """What a program reads."""
    read: dict[str, Any] = json.loads(msgspec.json.encode(node_file(planned, planned.instance(instance), life, run)))
    return read


class TestPlan:
    def test_a_program_is_planned_like_any_node(self) -> None:
        js = plan(GRAPH).node("js")
        assert (js.use, js.target, js.command) == ("exec: sh -c 'exit 3'", "", ("sh", "-c", "exit 3"))
        assert (js.instances, js.resources.threads, js.source) == (("js.0", "js.1"), 3, False)
        assert js.config == {"any": ["thing", 1]}
        assert js.outputs == {"doubled": ("sample.number",)}
        assert js.restart.max == 4

    def test_nodes_stay_in_the_order_of_the_file(self) -> None:
        assert [n.name for n in plan(GRAPH).nodes] == ["src", "js", "out", "watch"]
        assert [i.id for i in plan(GRAPH).instances] == ["src", "js.0", "js.1", "out", "watch"]

    def test_everybody_who_listens_to_all_telemetry_hears_it(self) -> None:
        edges = [e.id for e in plan(GRAPH).edges]
        assert "js.telemetry->watch.marks" in edges
        assert "src.mixed->js.jobs" in edges

    def test_a_program_survives_the_plans_file(self) -> None:
        planned = plan(GRAPH)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(planned), type=Plan) == planned


class TestOverlays:
    @pytest.mark.parametrize(
        ("overlay", "use", "command"),
        [("nodes.js.use=s.double", "s.double", []), ("nodes.js.exec=[sh, x]", "", ["sh", "x"])],
    )
    def test_another_program_or_class_loses_what_was_the_others(
        self, tmp_path: Path, overlay: str, use: str, command: list[str]
    ) -> None:
        (tmp_path / "g.yaml").write_text(GRAPH)
        read = load_spec(tmp_path / "g.yaml", [overlay], {})
        js = read.graph.nodes["js"]
        assert not read.problems
        assert (js.use, js.command, js.parameters, js.outputs) == (use, command, {}, {})
        assert js.inputs

    def test_a_program_takes_the_place_of_a_class(self, tmp_path: Path) -> None:
        (tmp_path / "g.yaml").write_text(GRAPH)
        read = load_spec(tmp_path / "g.yaml", ["nodes.src.exec=sh", "nodes.src.out={numbers: n, mixed: n}"], {})
        src = read.graph.nodes["src"]
        assert (read.problems, src.use, src.parameters, list(src.outputs)) == ((), "", {}, ["numbers", "mixed"])


class TestNodeFile:
    def test_who_it_is(self, run: RunDir) -> None:
        said = told(plan(GRAPH), "js.1", 2, run)
        assert (said["protocol"], said["graph"], said["host"]) == (1, "foreign", host_id())
        assert [said[k] for k in ("instance", "node", "replica", "replicas", "life")] == ["js.1", "js", 1, 2, 2]
        assert (said["source"], said["with"], said["max_message"]) == (False, {"any": ["thing", 1]}, 2**20)
        assert (said["orphan_after_s"], said["drain_within_s"]) == (30, 10)
        assert said["control"] == f"ipc://{run.path}/control"
        assert said["bind"] == {role: f"ipc://{run.path}/js.1.{role}" for role in ("out", "work", "credit")}
        assert said["leave_command"][-2:] == [str(run.path), "js.1"]

    def test_what_it_listens_to(self, run: RunDir) -> None:
        planned = plan(GRAPH)
        stream, queue = told(planned, "js.0", 0, run)["inputs"]
        assert (stream["edge"], stream["input"], stream["from"]) == ("src.numbers->js.numbers", "numbers", "src.numbers")
        assert (stream["link"], stream["depth"], stream["when_full"]) == ("stream", 1000, "drop_newest")
        assert stream["producers"] == [{"instance": "src", "endpoint": f"ipc://{run.path}/src.out"}]
        assert (queue["link"], queue["depth"], queue["delivery"], queue["order"]) == ("queue", 5, "at_least_once", "session")
        assert queue["producers"] == [{"instance": "src", "endpoint": f"ipc://{run.path}/src.credit"}]
        assert queue["topics"] == []

    def test_replicas_share_the_topics_out(self, run: RunDir) -> None:
        topics = [t for i in ("js.0", "js.1") for t in told(plan(GRAPH), i, 0, run)["inputs"][0]["topics"]]
        assert sorted(topics) == [f"src.numbers/{p:02x}" for p in range(PARTITIONS)]

    def test_one_alone_takes_all_topics(self, run: RunDir) -> None:
        planned = plan(GRAPH.replace("replicas: 2", "replicas: 1"))
        assert told(planned, "js", 0, run)["inputs"][0]["topics"] == ["src.numbers/"]

    def test_whom_it_feeds(self, run: RunDir) -> None:
        said = told(plan(GRAPH), "js.0", 0, run)
        assert said["consumers"] == ["out", "watch"]
        assert said["outputs"]["telemetry"] == {"kinds": ["telemetry.mark"], "topic": "js.telemetry/", "queues": []}
        doubled = said["outputs"]["doubled"]
        assert (doubled["kinds"], doubled["topic"]) == (["sample.number"], "js.doubled/")
        assert doubled["queues"] == [
            {
                "edge": "js.doubled->out.numbers_too",
                "depth": 64,
                "when_full": "block",
                "takers": [{"instance": "out", "endpoint": f"ipc://{run.path}/out.work"}],
                "delivery": "at_most_once",
                "order": "none",
                "give_up_after": 3,
            }
        ]


class TestReport:
    def test_of_a_program_that_died_the_last_beat_counts(self) -> None:
        report = Report(plan(GRAPH))
        report.add("js.0", Beat({"doubled": 5}, {"src.numbers->js.numbers": EdgeStatistics(delivered=5, depth=2)}))
        report.buried("js.0", None)
        report.add("js.0", Beat({"doubled": 1}, {"src.numbers->js.numbers": EdgeStatistics(delivered=1)}))
        edges = {e["edge"]: e for e in report.as_dict(0, {}, 1.0)["edges"]}
        assert edges["js.doubled->out.numbers"]["sent"] == 6
        into = edges["src.numbers->js.numbers"]
        assert (into["delivered"], into["dropped"], into["depth"]) == (6, 2, 0)

    def test_a_program_that_never_beat_is_no_trouble(self) -> None:
        report = Report(plan(GRAPH))
        report.buried("js.0", None)
        assert report.as_dict(0, {}, 1.0)["edges"]


def test_a_program_on_the_path_and_one_beside(tmp_path: Path) -> None:
    find_program("sh")
    mine = tmp_path / "mine"
    mine.touch(0o755)
    find_program(str(mine))
    with pytest.raises(UnknownProgram, match="no such program: '/none/mine'"):
        find_program("/none/mine")
