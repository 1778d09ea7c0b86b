"""`graph …` in this process: its exit code and what it wrote."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from graph.cli import main

SAMPLES = "tests.graph.sample_nodes"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Graph: TypeAlias = Callable[..., Ended]


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Graph:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["graph", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        written = capsys.readouterr()
        return Ended(int(caught.value.code or 0), written.out, written.err)

    return run


@pytest.fixture
def right(tmp_path: Path) -> Path:
    file = tmp_path / "right.yaml"
    file.write_text(f"""\
name: sample
nodes:
  src: {{use: "{SAMPLES}:Source", with: {{path: x}}}}
  dbl: {{use: "{SAMPLES}:Double", in: {{numbers: {{from: src.numbers, link: queue}}}}, replicas: 2}}
  end: {{use: "{SAMPLES}:Print", in: {{numbers: dbl.doubled}}, resources: {{threads: 3}}}}
""")
    return file
