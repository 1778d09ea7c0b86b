"""Which scenarios are meant."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path

from graph.errors import Problem, SpecError, VoicegraphError
from graph.scenarios.spec import ScenarioFile, read_scenario


class NoScenario(VoicegraphError):
    """There is nothing to hold."""

    exit_code = 2


def choose(paths: Sequence[Path], pattern: str | None, environment: Mapping[str, str]) -> list[ScenarioFile]:
    """Read the scenarios that are meant; of a folder, all its `.yaml` files.

    :param pattern: only those whose name holds this text, or fits it.
    :raises SpecError: with every problem of every file.
    :raises NoScenario: there is none, or two have one name.
    """
    files = [file for path in paths for file in _files(path)]
    meant = [file for file in dict.fromkeys(files) if pattern is None or _fits(file.stem, pattern)]
    if not meant:
        told = f"no scenario fits '{pattern}'" if files else f"there is no scenario in {', '.join(map(str, paths))}"
        raise NoScenario(f"{told} ({len(files)} looked at)" if files else told)
    found: list[ScenarioFile] = []
    problems: list[Problem] = []
    for file in meant:
        try:
            found.append(read_scenario(file, environment))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    by_name: dict[str, Path] = {}
    for one in found:
        if one.name in by_name:
            raise NoScenario(f"two scenarios have one name: {by_name[one.name]} and {one.path}")
        by_name[one.name] = one.path
    return found


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.yaml"), key=lambda file: file.stem) if path.is_dir() else [path]


def _fits(name: str, pattern: str) -> bool:
    return pattern in name or fnmatch.fnmatch(name, pattern)
