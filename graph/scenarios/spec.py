"""The scenario file: its keys, their types and defaults (docs/scenarios.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from graph.errors import SpecError
from graph.load import file_text
from graph.scenarios.stand_ins import StandIns
from graph.scenarios.steps import FLOOR_DB, Keys, Script, by_session
from graph.source import Located, in_order
from graph.spec import Duration
from graph.validation import EXPECTED, problems_of
from graph.yaml_text import parse, substitute

ROLES = ("capture", "turn", "stt", "llm", "tts", "sink")
Role = Literal["capture", "turn", "stt", "llm", "tts", "sink"]


def _range(value: Any) -> Any:
    """`3`, or `1..6`: at least and at most so many."""
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", str(value)) if not isinstance(value, bool) else None
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise PydanticCustomError(EXPECTED, "a number, or two like 1..6")
    return int(match[1]), int(match[2] or match[1])


class Latency(Keys):
    """How long the reply took to be heard, beside another turn of the same run."""

    turn: int = Field(ge=1, description="the turn that it is compared with")
    at_most: float = Field(gt=0, description="times as long")


class ExpectedTurn(Keys):
    """A turn of the user, and what came of it."""

    heard: str | None = Field(None, description="what was understood; empty: nothing")
    word_error: float | None = Field(
        None, ge=0, le=1, description="how much of `heard` may be wrong; default: nothing, with the real models 0.25"
    )
    answered: bool = Field(True, description="a reply was heard")
    replied: str | None = Field(None, description="what of the reply was heard; one that ends with … only begins so")
    interrupted: bool = Field(False, description="the reply was broken off")
    words: Annotated[tuple[int, int], BeforeValidator(_range)] | None = Field(
        None, description="how many words of the reply were heard"
    )
    gaps: Annotated[tuple[int, int], BeforeValidator(_range)] | None = Field(
        None, description="how often the reply was silent because its voice was late"
    )
    failed: str | None = Field(None, description="it failed, and this is in the cause; unset: it did not")
    apology: str | None = Field(None, description="what was heard instead of the reply")
    latency: Latency | None = None


class ChatLine(Keys):
    """One message of the history."""

    user: str | None = None
    assistant: str | None = None


class Expect(Keys):
    """What must happen. Nothing may be answered twice, and nothing crash, whatever is said here."""

    turns: Annotated[dict[str, list[ExpectedTurn]], BeforeValidator(by_session)]
    history: list[ChatLine] | None = Field(None, description="what the model was shown in the last turn")
    restarts: list[str] = Field([], description="nodes that die; those that the scenario kills need not be named")


class Scenario(Keys):
    """A conversation with a graph: what the user says and when, and what must happen."""

    title: str = Field(min_length=1, description="what it shows, in a line")
    graph: str | None = Field(None, description="relative to this file; default: pipelines.yaml in the current directory")
    overlay: dict[str, Any] = Field({}, description="lies over the graph, as a file does that includes it")
    roles: dict[Role, str] = Field({}, description="nodes that are not found by their `use` or name")
    pace: Literal["realtime", "fast"] = Field("realtime", description="fast: eight times as fast; nobody can be interrupted")
    room_db: float = Field(FLOOR_DB, ge=-90, le=0, description="the noise behind everything, relative to full scale")
    listen: Duration = Field(2.0, description="how long the user goes on listening when nothing happens any more")
    patience: Duration = Field(15.0, description="how long the user waits for what a step waits for, or for a reply")
    user: Script = Field(description="what the user does; of several sessions, by their names")
    models: StandIns = Field(default_factory=StandIns, description="what the stand-ins of the models do")
    expect: Expect


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario as it was read; in the tree its `${VAR}` still stand."""

    path: Path
    tree: Located
    scenario: Scenario

    @property
    def name(self) -> str:
        """How it is called: the file without its ending."""
        return self.path.stem

    @property
    def graph(self) -> Path:
        """The graph that it is about."""
        said = self.scenario.graph
        return Path("pipelines.yaml") if said is None else Path(os.path.normpath(self.path.parent / said))

    @property
    def recording(self) -> Path:
        """Where what its models said is kept, if it was recorded."""
        return self.path.with_suffix(".recording.json")


def read_scenario(path: Path, environment: Mapping[str, str]) -> ScenarioFile:
    """Read and check a scenario file.

    :raises SpecError: with every problem of the file.
    """
    raw, problems = parse(file_text(path), str(path))
    tree, unset = substitute(raw, environment)
    problems += unset
    if not isinstance(tree.value, dict):
        raise SpecError([*problems, tree.place.problem(f"must be a mapping, not {tree.shown}", tree.text)])
    try:
        scenario = Scenario.model_validate(tree.data)
    except ValidationError as error:
        raise SpecError(
            in_order([*problems, *problems_of(error.errors(include_url=False), Scenario, tree, "", "key")])
        ) from error
    if problems:
        raise SpecError(in_order(problems))
    _check(scenario, tree)
    return ScenarioFile(path, raw, scenario)


def _check(scenario: Scenario, tree: Located) -> None:
    """:raises SpecError: parts of the file do not fit together."""
    problems = []
    for session in scenario.expect.turns.keys() - scenario.user.keys():
        said = tree.at(("expect", "turns", session))
        problems.append((said.key or said.place).problem(f"nobody speaks in session '{session}'", session))
    for session, turns in scenario.expect.turns.items():
        for number, turn in enumerate(turns):
            if turn.latency is not None and turn.latency.turn > len(turns):
                place = tree.at(("expect", "turns", session, number, "latency", "turn")).place
                problems.append(place.problem(f"there is no turn {turn.latency.turn} to compare with"))
    if problems:
        raise SpecError(in_order(problems))
