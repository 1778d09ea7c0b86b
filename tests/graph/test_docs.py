"""The examples in docs/writing-a-node.md run as they stand."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_node_and_its_test_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "writing-a-node.md").read_text(), re.DOTALL)
    (tmp_path / "shout.py").write_text(blocks[0])
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {}
    exec(compile(blocks[1], "writing-a-node.md", "exec"), names)
    test = names["test_shout"]
    assert callable(test)
    test()
    sys.modules.pop("shout")


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
