"""Which scenarios are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.errors import SpecError
from graph.scenarios.choose import NoScenario, choose

RIGHT = "title: t\nuser: [cough]\nexpect: {turns: []}\n"


def names(*paths: Path, pattern: str | None = None) -> list[str]:
    return [one.name for one in choose(paths, pattern, {})]


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("barge-in", "cough", "cough-twice"):
        (tmp_path / f"{name}.yaml").write_text(RIGHT)
    (tmp_path / "cough.recording.json").write_text("{}")
    assert names(tmp_path) == ["barge-in", "cough", "cough-twice"]
    assert names(tmp_path / "cough.yaml", tmp_path) == ["cough", "barge-in", "cough-twice"]
    assert names(tmp_path, pattern="ough") == ["cough", "cough-twice"]
    assert names(tmp_path, pattern="*-in") == ["barge-in"]


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(NoScenario, match=f"^there is no scenario in {tmp_path}$"):
        names(tmp_path)
    (tmp_path / "cough.yaml").write_text(RIGHT)
    with pytest.raises(NoScenario, match=r"^no scenario fits 'sneeze' \(1 looked at\)$"):
        names(tmp_path, pattern="sneeze")


def test_the_problems_of_all_files_are_told_and_only_of_those_that_are_meant(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(f"pace: {name}\n{RIGHT}")
    with pytest.raises(SpecError) as caught:
        names(tmp_path)
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.yaml", "b.yaml"]
    with pytest.raises(SpecError) as caught:
        names(tmp_path, pattern="b")
    assert [Path(problem.file).name for problem in caught.value.problems] == ["b.yaml"]


def test_two_of_one_name_would_write_into_one_folder(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "s.yaml").write_text(RIGHT)
    with pytest.raises(NoScenario, match=r"^two scenarios have one name: "):
        names(tmp_path / "a", tmp_path / "b")
