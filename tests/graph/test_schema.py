"""The JSON Schema of the graph file says what `graph validate` says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from graph.node import Node
from graph.registry import Registry
from graph.schema import file_schema
from tests.graph.sample_nodes import Double, Print, Source, Watch

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / "pipelines.yaml", *sorted((ROOT / "examples").glob("*.yaml"))]


def errors(text: str, classes: dict[str, type[Node]]) -> list[tuple[str, ...]]:
    """Where the schema finds something wrong."""
    schema = file_schema(classes)
    jsonschema.Draft202012Validator.check_schema(schema)
    data: Any = YAML(typ="safe", pure=True).load(text)
    return sorted({tuple(map(str, e.absolute_path)) for e in jsonschema.Draft202012Validator(schema).iter_errors(data)})


def sample_errors(text: str) -> list[tuple[str, ...]]:
    return errors(text, {"s.source": Source, "s.double": Double, "s.print": Print, "s.watch": Watch})


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_shipped_graphs_are_right(file: Path) -> None:
    registry = Registry.installed()
    assert errors(file.read_text(), {name: registry.load(name) for name in registry.targets}) == []


def test_the_examples_in_the_reference_are_right() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/graph-file.md").read_text(), re.DOTALL)
    registry = Registry.installed()
    classes = {name: registry.load(name) for name in registry.targets}
    for block in blocks:
        text = "nodes:\n  n:\n    use: a:B\n" + textwrap.indent(block, "    ") if block.startswith("in:") else block
        assert errors(text, classes) == [], block
    assert len(blocks) > 3


@pytest.mark.parametrize(
    "text",
    [
        "nodes: {a: {use: s.source, with: {path: x}}, b: {use: s.double, in: {numbers: a.numbers}}}",
        "nodes: {b: {use: s.double, in: {numbers: [a.x, {from: a.y, link: queue, depth: 2, when_full: block}]}}}",
        "nodes: {b: {use: s.double, with: {factor: '${N:-2}', window: '${W}'}, replicas: '${R}'}}",
        "nodes: {b: {use: 'my.module:Node', with: {anything: [1]}, in: {goes: a.b}}}",
        "nodes: {b: {exec: ./my_node, with: {any: 1}, in: {x: a.b}, out: {y: audio.level, z: [a, b]}}}",
        "nodes: {b: {exec: [node, '${SCRIPT}']}}",
        "{include: [a.yaml], nodes: {b: {with: {model: x}}}}",
        "{include: a.yaml, nodes: {a: null, b: {use: s.double, in: {numbers: null}}}}",
        "{transport: tcp, orphan_after: 500ms}",
        "transport: {kind: tcp, host: 127.0.0.1, first_port: 9}",
    ],
)
def test_what_is_right(text: str) -> None:
    assert sample_errors(text) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("nodess: {}", ()),
        ("nodes: {A: {use: s.source}}", ("nodes",)),
        ("nodes: {a: {use: s.sauce}}", ("nodes", "a", "use")),
        ("nodes: {a: {use: s.source, replica: 2}}", ("nodes", "a")),
        ("nodes: {a: {use: s.source, with: {pase: x}}}", ("nodes", "a", "with")),
        ("nodes: {a: {use: s.source, with: {pace: fst}}}", ("nodes", "a", "with", "pace")),
        ("nodes: {a: {use: s.double, with: {factor: 11}}}", ("nodes", "a", "with", "factor")),
        ("nodes: {a: {use: s.double, in: {nmbers: b.c}}}", ("nodes", "a", "in", "nmbers")),
        ("nodes: {a: {use: s.double, in: {numbers: {from: b.c, link: que}}}}", ("nodes", "a", "in", "numbers")),
        ("nodes: {a: {exec: x, use: s.source}}", ("nodes", "a")),
        ("nodes: {a: {exec: [x, 3]}}", ("nodes", "a", "exec")),
        ("nodes: {a: {exec: x, out: {y: 3}}}", ("nodes", "a", "out", "y")),
        ("orphan_after: 5", ("orphan_after",)),
        ("transport: {kind: tcp, host: 0.0.0.0}", ("transport",)),
    ],
)
def test_what_is_wrong(text: str, where: tuple[str, ...]) -> None:
    assert sample_errors(text) == [where]
