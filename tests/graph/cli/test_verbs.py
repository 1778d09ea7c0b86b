"""The verbs that only read: what they print and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import graph.registry
from graph.registry import Registry
from tests.graph.cli.conftest import SAMPLES, Graph


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry of a machine where only these are installed."""
    registry = Registry(
        {"sample.double": f"{SAMPLES}:Double", "sample.gone": "nowhere_at_all:Node", "other.src": f"{SAMPLES}:Source"}
    )
    monkeypatch.setattr(graph.registry.Registry, "installed", classmethod(lambda cls: registry))


class TestTheCommand:
    def test_its_version(self, graph: Graph) -> None:
        ended = graph("--version")
        assert (ended.code, ended.out) == (0, "voicegraph 0.1.0\n")

    def test_every_verb_is_there(self, graph: Graph) -> None:
        out = graph("--help").out
        assert all(f" {verb} " in out for verb in ("run", "validate", "plan", "nodes", "schema", "models"))

    def test_an_unknown_option(self, graph: Graph) -> None:
        ended = graph("validate", "--nope")
        assert ended.code == 2
        assert "No such option: --nope" in ended.err

    @pytest.mark.parametrize("verb", ["run", "validate", "plan"])
    def test_a_file_that_is_not_there(self, graph: Graph, tmp_path: Path, verb: str) -> None:
        ended = graph(verb, tmp_path / "no.yaml")
        assert ended == (2, "", f"{tmp_path}/no.yaml: no such file\n")

    @pytest.mark.parametrize("verb", ["run", "validate", "plan"])
    def test_a_wrong_file(self, graph: Graph, right: Path, verb: str) -> None:
        ended = graph(verb, right, "-o", "nodes.dbl.replicas=0", "-o", "nodes.src.with.pace=slow")
        assert ended.code == 2
        assert ended.out == ""
        assert sorted(ended.err.splitlines()) == [
            "-o nodes.dbl.replicas=0: dbl: 'replicas' must be at least 1, not 0",
            "-o nodes.src.with.pace=slow: src: 'pace' must be 'realtime' or 'fast', not 'slow'",
        ]

    def test_ctrl_c_is_no_traceback(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("graph.load.load_plan", interrupted)
        ended = graph("validate")
        assert ended.code == 130
        assert "Traceback" not in ended.err


class TestValidate:
    def test_a_right_file(self, graph: Graph, right: Path) -> None:
        assert graph("validate", right) == (0, f"{right}: right (3 nodes, 4 processes, 2 links)\n", "")


class TestPlan:
    def test_tables(self, graph: Graph, right: Path) -> None:
        lines = [line.split() for line in graph("plan", right).out.splitlines()]
        assert ["dbl", f"{SAMPLES}:Double", "dbl.0,", "dbl.1"] in lines
        assert ["end", f"{SAMPLES}:Print", "end", "3"] in lines
        assert ["src.numbers", "dbl.numbers", "queue", "64", "block"] in lines

    def test_a_program_with_any_arguments(self, graph: Graph, right: Path) -> None:
        program = ("-o", """nodes.x={exec: [sh, -c, '[b]<"#1'], in: {n: src.numbers}}""")
        assert """'[b]<"#1'""" in graph("plan", right, *program).out
        assert (
            """["x<br/><small>exec: sh -c '[b]#lt;#quot;#35;1'</small>"]""" in graph("plan", right, "--mermaid", *program).out
        )

    def test_json_is_the_whole_plan(self, graph: Graph, right: Path) -> None:
        plan = json.loads(graph("plan", right, "--json", "-o", "orphan_after=2s").out)
        assert (plan["name"], plan["orphan_after_s"]) == ("sample", 2.0)
        assert [i["id"] for i in plan["instances"]] == ["src", "dbl.0", "dbl.1", "end"]
        assert [e["producer"] for e in plan["edges"]] == ["src", "dbl"]

    def test_mermaid(self, graph: Graph, right: Path) -> None:
        watched = ("-o", f"nodes.w={{use: '{SAMPLES}:Watch', in: {{marks: end.telemetry}}}}")
        assert (
            graph("plan", right, "--mermaid", *watched).out
            == f"""\
flowchart LR
    n0["src<br/><small>{SAMPLES}:Source</small>"]
    n1["dbl × 2<br/><small>{SAMPLES}:Double</small>"]
    n2["end<br/><small>{SAMPLES}:Print</small>"]
    n3["w<br/><small>{SAMPLES}:Watch</small>"]
    n0 == numbers ==> n1
    n1 -- doubled --> n2
    n2 -. telemetry .-> n3
"""
        )


@pytest.mark.usefixtures("samples")
class TestNodes:
    def test_the_list(self, graph: Graph) -> None:
        assert (
            graph("nodes").out
            == """\
other
  other.src  Numbers out of nothing.
      out   numbers: sample.number
      out   mixed: sample.number, sample.word
      with  path*, pace

sample
  sample.double  Multiplies numbers.
      in    numbers: sample.number
      in    hint: sample.word (optional)
      out   doubled: sample.number
      with  factor, window, label, steps
  sample.gone  broken: cannot import node 'nowhere_at_all:Node': No module named 'nowhere_at_all'

* must be given. Every node also has the output `telemetry`. `graph nodes NAME` shows one in full.
"""
        )

    def test_one_in_full(self, graph: Graph) -> None:
        assert (
            graph("nodes", "sample.double").out
            == f"""\
sample.double  ({SAMPLES}:Double)
  Multiplies numbers.

Inputs
  numbers: sample.number
  hint: sample.word (optional)

Outputs
  telemetry: telemetry.mark
      marks, counters and logs of the node itself; every node has this port
  doubled: sample.number

Parameters
  factor: whole number 1..10 (default 2)
      by how much
  window: 'fit' or number > 0 (default "fit")
  label: text or null (default null)
  steps: list of whole number (default [])
"""
        )

    def test_one_by_import_path_with_its_extra(self, graph: Graph) -> None:
        out = graph("nodes", f"{SAMPLES}:Source").out
        assert "  As many as there are.\n" in out
        assert "  Needs: pip install 'voicegraph[sample]'\n" in out
        assert "  path: text (required)\n      what to read\n" in out

    def test_json(self, graph: Graph) -> None:
        listed = {node["name"]: node for node in json.loads(graph("nodes", "--json").out)}
        assert listed["sample.double"] == json.loads(graph("nodes", "sample.double", "--json").out)
        assert listed["sample.double"]["parameters"][0] == {
            "name": "factor",
            "type": "whole number 1..10",
            "required": False,
            "default": 2,
            "description": "by how much",
        }
        assert listed["sample.gone"]["broken"].startswith("cannot import node")

    def test_an_unknown_one(self, graph: Graph) -> None:
        ended = graph("nodes", "sample.duble")
        assert (ended.code, ended.err) == (2, "unknown node 'sample.duble' (did you mean 'sample.double'?)\n")

    def test_a_broken_one(self, graph: Graph) -> None:
        ended = graph("nodes", "sample.gone")
        assert (ended.code, ended.err) == (1, "cannot import node 'nowhere_at_all:Node': No module named 'nowhere_at_all'\n")


@pytest.mark.usefixtures("samples")
class TestSchema:
    def test_it_is_printed_and_broken_nodes_are_named(self, graph: Graph) -> None:
        ended = graph("schema")
        assert json.loads(ended.out)["$defs"]["NodeSpec"]["properties"]["use"]["anyOf"][0] == {
            "enum": ["other.src", "sample.double"]
        }
        assert ended.err == "left out: cannot import node 'nowhere_at_all:Node': No module named 'nowhere_at_all'\n"

    def test_it_is_written(self, graph: Graph, tmp_path: Path) -> None:
        assert graph("schema", "--output", tmp_path / "s.json").out == ""
        assert json.loads((tmp_path / "s.json").read_text())["properties"].keys() >= {"nodes", "include", "transport"}

    def test_a_folder_that_is_not_there(self, graph: Graph, tmp_path: Path) -> None:
        ended = graph("schema", "--output", tmp_path / "no/s.json")
        assert ended.code == 1
        assert ended.err.splitlines()[-1] == f"cannot write the schema to {tmp_path}/no/s.json: No such file or directory"
