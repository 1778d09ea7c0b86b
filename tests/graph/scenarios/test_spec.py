"""The scenario file: what is wrong with it is told at once, each with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graph.errors import SpecError
from graph.scenarios.spec import ScenarioFile, read_scenario
from graph.scenarios.steps import Noise, Step, When

ONE_THING = "one thing that is done: say, file, noise, cough, silence, kill, swap"
RIGHT = "title: t\nuser: [cough]\nexpect: {turns: []}\n"


def read(folder: Path, text: str, **environment: str) -> ScenarioFile:
    file = folder / "s.yaml"
    file.write_text(text)
    return read_scenario(file, environment)


def told(folder: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(folder, text)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_the_examples_of_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/scenarios.md").read_text()
    whole, models = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(read(tmp_path, whole).scenario.user["default"]) == 2
    assert read(tmp_path, RIGHT + models).scenario.models.stt.turns.keys() == {2}


def test_the_short_forms(tmp_path: Path) -> None:
    text = "title: t\nuser: [cough, {say: hello, at: {into_reply: 0.8s}}]\nexpect: {turns: [{heard: hello, words: 2}]}\n"
    scenario = read(tmp_path, text).scenario
    assert scenario.user == {"default": [Step(cough=True), Step(say="hello", at=When.model_validate({"into_reply": "800ms"}))]}
    (turn,) = scenario.expect.turns["default"]
    assert (turn.heard, turn.words, turn.answered, turn.interrupted) == ("hello", (2, 2), True, False)


def test_several_sessions_and_variables(tmp_path: Path) -> None:
    text = "title: t\nuser: {anna: [{noise: {db: -40, lasts: 2s}}], ben: [{file: '${CLIP}'}]}\nexpect: {turns: {ben: []}}\n"
    scenario = read(tmp_path, text, CLIP="a.wav").scenario
    assert scenario.user == {
        "anna": [Step(noise=Noise.model_validate({"db": -40, "lasts": "2s"}))],
        "ben": [Step(file="a.wav")],
    }


def test_a_graph_counts_from_the_scenario_and_the_default_from_here(tmp_path: Path) -> None:
    assert read(tmp_path, RIGHT).graph == Path("pipelines.yaml")
    assert read(tmp_path, f"graph: ../g.yaml\n{RIGHT}").graph == tmp_path.parent / "g.yaml"
    assert read(tmp_path, RIGHT).recording == tmp_path / "s.recording.json"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("- a", ["s.yaml:1:1: must be a mapping, not a list"]),
        (
            "titel: t",
            [
                *[f"s.yaml:1:1: key '{k}' is missing" for k in ("title", "user", "expect")],
                "s.yaml:1:1: unknown key 'titel' (did you mean 'title'?)",
            ],
        ),
        (RIGHT.replace("[cough]", "[sneeze]"), ["s.yaml:2:8: item 1 of 'user' must be a mapping, not 'sneeze'"]),
        (RIGHT.replace("[cough]", "[]"), ["s.yaml:2:7: 'user' must be 1 or more items long, not a list"]),
        (
            RIGHT.replace("[cough]", "[{at: {after_reply: 1s}}, {say: a, cough: true}]"),
            [
                f"s.yaml:2:8: item 1 of 'user' must be {ONE_THING}, not a mapping",
                f"s.yaml:2:33: item 2 of 'user' must be {ONE_THING}, not a mapping",
            ],
        ),
        (RIGHT.replace("[cough]", "[{sya: a}]"), ["s.yaml:2:9: unknown key 'sya' (did you mean 'say'?)"]),
        (RIGHT.replace("[cough]", "[{silence: 2}]"), ["s.yaml:2:18: 'silence' must be a duration like 500ms, 2s or 1m, not 2"]),
        (
            RIGHT.replace("[cough]", "[{say: a, at: {into_reply: 1s, after_reply: 1s}}]"),
            ["s.yaml:2:21: 'at' must be one of into_reply, after_reply and after_confirmed, not a mapping"],
        ),
        (
            RIGHT.replace("turns: []", "turns: [{words: 5..2}]"),
            ["s.yaml:3:26: 'words' must be a number, or two like 1..6, not '5..2'"],
        ),
        (
            RIGHT.replace("turns: []", "turns: {anna: []}"),
            ["s.yaml:3:18: nobody speaks in session 'anna'"],
        ),
        (
            RIGHT.replace("turns: []", "turns: [{latency: {turn: 2, at_most: 1}}]"),
            ["s.yaml:3:35: there is no turn 2 to compare with"],
        ),
        (
            f"models: {{tts: {{turns: {{first: {{silent: true}}}}}}}}\n{RIGHT}",
            ["s.yaml:1:31: 'first' must be a whole number, not a mapping"],
        ),
        (f"pace: slow\n{RIGHT}", ["s.yaml:1:7: 'pace' must be 'realtime' or 'fast', not 'slow'"]),
        (f"{RIGHT}title: u\n", ["s.yaml:4:1: duplicate key 'title', first in line 1"]),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, problems: list[str]) -> None:
    assert told(tmp_path, text) == problems


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_scenario(tmp_path / "none.yaml", {})
    assert str(caught.value) == f"{tmp_path}/none.yaml: no such file"
