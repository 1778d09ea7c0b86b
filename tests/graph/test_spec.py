"""What a right graph file means: short forms, overlays, includes, variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.load import load_spec
from graph.source import Located, Place, overlay
from graph.spec import Connection, Ipc, Spec, Tcp
from graph.yaml_text import parse, substitute

FILE = """\
name: t
nodes:
  src:
    use: sample.source
    with: {path: "${WHERE:-here}", pace: realtime}
  dbl:
    use: sample.double
    in: {numbers: {from: src.numbers, link: queue, depth: 5}}
    with: {factor: 3}
  out: {use: sample.print, in: {numbers: [dbl.doubled, {from: src.mixed, when_full: drop_oldest}], numbers_too: src.numbers}}
"""


def spec(folder: Path, text: str, *overlays: str, **environment: str) -> Spec:
    (folder / "g.yaml").write_text(text)
    read = load_spec(folder / "g.yaml", overlays, environment)
    assert not read.problems
    return read


def data(text: str, **environment: str) -> Any:
    located, problems = parse(text, "g.yaml")
    assert not problems
    located, problems = substitute(located, environment)
    assert not problems
    return located.data


class TestForms:
    def test_inputs(self, tmp_path: Path) -> None:
        nodes = spec(tmp_path, FILE).graph.nodes
        assert nodes["dbl"].inputs == {"numbers": [Connection(**{"from": "src.numbers", "link": "queue", "depth": 5})]}
        assert nodes["out"].inputs == {
            "numbers": [
                Connection(**{"from": "dbl.doubled"}),
                Connection(**{"from": "src.mixed", "when_full": "drop_oldest"}),
            ],
            "numbers_too": [Connection(**{"from": "src.numbers"})],
        }

    @pytest.mark.parametrize(
        ("text", "command"),
        [
            ("./my_node", ["./my_node"]),
            ("node 'a b.mjs' --x=1", ["node", "a b.mjs", "--x=1"]),
            ("[node, a b.mjs]", ["node", "a b.mjs"]),
        ],
    )
    def test_programs(self, tmp_path: Path, text: str, command: list[str]) -> None:
        node = spec(tmp_path, f"{FILE}  x: {{exec: {text}, out: {{a: k.a, b: [k.a, k.b]}}}}\n").graph.nodes["x"]
        assert (node.use, node.command) == ("", command)
        assert node.outputs == {"a": ["k.a"], "b": ["k.a", "k.b"]}

    @pytest.mark.parametrize(
        ("text", "seconds"), [("500ms", 0.5), ("2s", 2.0), ("1.5m", 90.0), ("1h", 3600.0), ('"2s"', 2.0), ("0s", 0.0)]
    )
    def test_durations(self, tmp_path: Path, text: str, seconds: float) -> None:
        assert spec(tmp_path, f"{FILE}orphan_after: {text}\n").graph.orphan_after == seconds

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("ipc", Ipc(kind="ipc")),
            ("tcp", Tcp(kind="tcp", host="127.0.0.1", first_port=17400)),
            ("{kind: tcp, host: localhost, first_port: 9}", Tcp(kind="tcp", host="127.0.0.1", first_port=9)),
        ],
    )
    def test_transports(self, tmp_path: Path, text: str, meant: Ipc | Tcp) -> None:
        assert spec(tmp_path, f"{FILE}transport: {text}\n").graph.transport == meant


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1", 1),
            ("0x10", 16),
            ("1.5", 1.5),
            ("true", True),
            ("yes", "yes"),  # YAML 1.2: only true and false are
            ("~", None),
            ("'1'", "1"),
            ("2024-01-01", "2024-01-01"),
            ("9" * 5000, "9" * 5000),  # more digits than Python reads as a number
            ("|\n  two\n  lines", "two\nlines\n"),
        ],
    )
    def test_scalars(self, text: str, value: object) -> None:
        found = data(f"a: {text}\n")["a"]
        assert found == value
        assert type(found) is type(value)

    def test_anchors_and_merge_keys(self) -> None:
        text = "a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\nc: {<<: [{x: 4}, *a]}\n"
        assert data(text) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 4, "y": 2}}

    def test_places_count_from_one(self) -> None:
        located, _ = parse("a:\n  b: [1, 2]\n", "g.yaml")
        assert located.at(("a", "b", 1)).place == Place("g.yaml", 2, 10)
        assert located.at(("a", "b")).key == Place("g.yaml", 2, 3)


class TestVariables:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("${N:-2}", 2),
            ("'${N:-2}'", "2"),
            ("${N:-}", None),  # a scalar with nothing in it, as in `a:`
            ("'${N:-}'", ""),
            ("${SET:-2}", 7),
            ("${EMPTY:-2}", 2),
            ("'${EMPTY}'", ""),
            ("'a-${SET}-${N:-b}.wav'", "a-7-b.wav"),
            ("'$${SET} $SET'", "${SET} $SET"),
            ("'${N:-http://localhost:1234/v1}'", "http://localhost:1234/v1"),
            ("${SHAPE}", "{b: [1]}"),  # what a variable holds never becomes a part of the file's shape
            ("${NESTED}", "${SET}"),  # nor another variable
        ],
    )
    def test_in_a_scalar(self, text: str, value: object) -> None:
        found = data(f"a: {text}\n", SET="7", EMPTY="", SHAPE="{b: [1]}", NESTED="${SET}")["a"]
        assert found == value
        assert type(found) is type(value)

    def test_everywhere_in_the_file(self, tmp_path: Path) -> None:
        text = "nodes:\n  ${N}: {use: '${USE}', in: {x: ['${FROM}.out']}, with: {a: {b: ['${N}']}}}\n"
        read = spec(tmp_path, text.replace("${N}:", "n:"), USE="u", FROM="f", N="1").graph.nodes["n"]
        assert (read.use, read.inputs["x"][0].output, read.parameters) == ("u", "f.out", {"a": {"b": ["1"]}})

    def test_one_that_an_overlay_replaces_need_not_be_set(self, tmp_path: Path) -> None:
        text = FILE.replace(":-here", "")
        assert spec(tmp_path, text, "nodes.src.with.path=x").graph.nodes["src"].parameters["path"] == "x"

    @given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
    def test_a_quoted_variable_is_always_the_text_itself(self, value: str) -> None:
        assert data('a: "${V}"\n', V=value) == {"a": value}


class TestOverlays:
    def test_they_change_single_values(self, tmp_path: Path) -> None:
        nodes = spec(
            tmp_path, FILE, "nodes.dbl.with.factor=4", "nodes.dbl.replicas=2", "nodes.src.with.path='a b: c'"
        ).graph.nodes
        assert (nodes["dbl"].parameters, nodes["dbl"].replicas) == ({"factor": 4}, 2)
        assert nodes["src"].parameters == {"path": "a b: c", "pace": "realtime"}

    def test_mappings_are_merged(self, tmp_path: Path) -> None:
        nodes = spec(tmp_path, FILE, "nodes.src={with: {pace: fast}, replicas: 2}").graph.nodes
        assert nodes["src"].parameters == {"path": "here", "pace": "fast"}

    def test_another_class_starts_with_its_own_parameters(self, tmp_path: Path) -> None:
        nodes = spec(tmp_path, FILE, "nodes.dbl.use=other", "nodes.dbl.with.x=1").graph.nodes
        assert nodes["dbl"].parameters == {"x": 1}
        assert nodes["dbl"].inputs["numbers"][0].output == "src.numbers"

    def test_the_same_class_keeps_its_parameters(self, tmp_path: Path) -> None:
        assert spec(tmp_path, FILE, "nodes.dbl.use=sample.double").graph.nodes["dbl"].parameters == {"factor": 3}

    def test_nothing_takes_a_node_or_an_input_away(self, tmp_path: Path) -> None:
        nodes = spec(tmp_path, FILE, "nodes.dbl=", "nodes.out.in.numbers=null").graph.nodes
        assert list(nodes) == ["src", "out"]
        assert list(nodes["out"].inputs) == ["numbers_too"]

    def test_nothing_is_a_value_for_a_parameter(self, tmp_path: Path) -> None:
        assert spec(tmp_path, FILE, "nodes.dbl.with.factor=null").graph.nodes["dbl"].parameters == {"factor": None}

    @given(st.dictionaries(st.sampled_from("abc"), st.integers() | st.dictionaries(st.sampled_from("xyz"), st.integers())))
    def test_a_mapping_over_itself_is_itself(self, value: dict[str, Any]) -> None:
        located = _located(value)
        assert overlay(located, located).data == value
        assert overlay(_located({}), located).data == value
        assert overlay(located, _located({})).data == value


class TestIncludes:
    def test_this_file_lies_over_what_it_includes(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/base.yaml").write_text(FILE + "orphan_after: 1s\n")
        read = spec(tmp_path, "include: ${DIR:-sub}/base.yaml\nname: over\nnodes: {dbl: {with: {label: x}}}\n")
        assert (read.graph.name, read.graph.orphan_after) == ("over", 1.0)
        assert read.graph.nodes["dbl"].parameters == {"factor": 3, "label": "x"}

    def test_of_several_the_later_lies_over_the_earlier(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("name: a\nnodes: {one: {use: a}, two: {use: a}}\n")
        (tmp_path / "b.yaml").write_text("name: b\nnodes: {two: {use: b}}\n")
        read = spec(tmp_path, "include: [a.yaml, b.yaml]\n")
        assert (read.graph.name, {name: node.use for name, node in read.graph.nodes.items()}) == ("b", {"one": "a", "two": "b"})

    def test_an_included_file_includes_beside_itself(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/inner.yaml").write_text("nodes: {a: {use: inner}}\n")
        (tmp_path / "sub/outer.yaml").write_text("include: inner.yaml\nnodes: {b: {use: outer}}\n")
        assert list(spec(tmp_path, "include: sub/outer.yaml\n").graph.nodes) == ["a", "b"]

    def test_a_file_may_be_included_twice_from_different_files(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.yaml").write_text(f"include: base.yaml\nnodes: {{{name}: {{use: {name}}}}}\n")
        (tmp_path / "base.yaml").write_text("nodes: {base: {use: base}}\n")
        assert list(spec(tmp_path, "include: [a.yaml, b.yaml]\n").graph.nodes) == ["base", "a", "b"]


def _located(value: Any) -> Located:
    if isinstance(value, dict):
        return Located({key: _located(entry) for key, entry in value.items()}, Place("g.yaml"))
    return Located(value, Place("g.yaml"))
