"""Finding node classes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graph.describe import describe_all
from graph.errors import NodeError
from graph.registry import Registry, UnknownNode, load_class
from tests.graph.sample_nodes import Source


def test_a_name_and_an_import_path_lead_to_the_class() -> None:
    registry = Registry({"sample.source": "tests.graph.sample_nodes:Source"})
    assert registry.target("sample.source") == "tests.graph.sample_nodes:Source"
    assert registry.load("sample.source") is registry.load("tests.graph.sample_nodes:Source") is Source


def test_an_unknown_name() -> None:
    with pytest.raises(UnknownNode, match=r"^unknown node 'a\.b' \(did you mean 'a\.c'\?\)$"):
        Registry({"a.c": "a:C"}).load("a.b")


def test_the_nodes_of_this_package_are_registered() -> None:
    assert {"capture.file", "stt.faster_whisper", "sink.file"} <= Registry.installed().targets.keys()


def test_nothing_is_imported_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "never_asked_for.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    registry = Registry({"a": "tests.graph.sample_nodes:Source", "b": "never_asked_for:Node"})
    registry.load("a")
    assert registry.target("b") == "never_asked_for:Node"
    assert "never_asked_for" not in sys.modules


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("of_syntax", "class", "SyntaxError: invalid syntax (of_syntax.py, line 1)"),
        ("of_a_bug", "1 / 0", "ZeroDivisionError: division by zero"),
        ("of_an_import", "import nowhere_at_all", "No module named 'nowhere_at_all'"),
    ],
)
def test_a_module_that_fails_in_any_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(NodeError) as caught:
        load_class(f"{name}:Node")
    assert str(caught.value) == f"cannot import node '{name}:Node': {told}"


def test_a_broken_node_is_listed_with_its_reason_beside_the_others() -> None:
    registry = Registry({"b": "nowhere_at_all:Node", "a": "tests.graph.sample_nodes:Source"})
    a, b = describe_all(registry)
    assert (a.name, a.summary, a.broken) == ("a", "Numbers out of nothing.", "")
    assert (b.name, b.broken) == ("b", "cannot import node 'nowhere_at_all:Node': No module named 'nowhere_at_all'")
