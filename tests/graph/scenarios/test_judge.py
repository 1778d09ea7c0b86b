"""Judging: what happened against what was expected; each difference with the place of what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.scenarios.judge import judge
from graph.scenarios.spec import ScenarioFile, read_scenario
from graph.scenarios.witnessed import Line, seen

from .lines import OVER, answered, line

HEAD = "title: t\nuser: [cough]\nexpect:\n  turns:\n"


def scenario(folder: Path, text: str) -> ScenarioFile:
    file = folder / "s.yaml"
    file.write_text(text)
    return read_scenario(file, {})


def differences(folder: Path, expected: str, *lines: Line, real: bool = False) -> list[str]:
    file = scenario(folder, HEAD + expected)
    return [str(d).removeprefix(f"{folder}/") for d in judge(file, seen([*lines, OVER]), real)]


def confirmed(*more: Line) -> list[Line]:
    return [line("turn_confirmed"), *more]


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        ("    - {heard: How many?, replied: Seven., words: 1}", answered("how many", "Seven!")),
        ("    - {heard: five days, word_error: 0.5}", answered("4 days", "x")),
        ("    - {interrupted: true, replied: One two…, words: 2..4}", answered("x", "one two three", interrupted=True)),
        ("    - {gaps: 0}\n    - {gaps: 1..3}", [*answered("a", "b"), *answered("c", "d", 2, gaps=2)]),
        ("    - {answered: false}", confirmed()),
        ('    - {heard: "", answered: false}', confirmed(line("transcript", text=""))),
        ("    - {}\n    - {latency: {turn: 1, at_most: 2}}", [*answered("a", "b"), *answered("c", "d", 2, latency_ms=1600)]),
        ("    - {}\n  history: [{user: How many?}]", answered("How many?", "Seven.")),
    ],
)
def test_nothing_differs(tmp_path: Path, expected: str, lines: list[Line]) -> None:
    assert differences(tmp_path, expected, *lines) == []


@pytest.mark.parametrize(
    ("expected", "lines", "told"),
    [
        (
            "    - {heard: How many days?}",
            answered("How many ways?", "x"),
            ["s.yaml:5:8: turn 1: 'How many ways?' was understood, expected was 'How many days?' (word error 0.33, at most 0)"],
        ),
        (
            "    - {gaps: 0}",
            answered("x", "y", gaps=1),
            ["s.yaml:5:8: turn 1: 0 gaps in the reply were expected, there were 1"],
        ),
        (
            "    - {heard: Hello}",
            confirmed(),
            ["s.yaml:5:8: turn 1: nothing was understood, expected was 'Hello'", "s.yaml:5:7: turn 1: no reply was heard"],
        ),
        ("    - {answered: false}", answered("a", "b"), ["s.yaml:5:8: turn 1: a reply was heard, and none expected"]),
        ("    - {}", [*answered("a", "b"), line("reply.begins")], ["s.yaml:5:7: turn 1: it was answered 2 times"]),
        (
            "    - {}",
            answered("a", "One two", interrupted=True),
            ["s.yaml:5:7: turn 1: the reply was interrupted: heard was 'One two'"],
        ),
        (
            "    - {interrupted: true}",
            answered("a", "b"),
            ["s.yaml:5:8: turn 1: the reply was not interrupted: it was heard to its end"],
        ),
        (
            "    - {replied: Eight.}",
            answered("a", "Seven."),
            ["s.yaml:5:8: turn 1: of the reply 'Eight.' was expected, heard was 'Seven.'"],
        ),
        (
            "    - {words: 2..3}",
            answered("a", "Seven."),
            ["s.yaml:5:8: turn 1: 2 to 3 words of the reply were expected, heard were 1: 'Seven.'"],
        ),
        (
            "    - {}\n    - {latency: {turn: 1, at_most: 1.5}}",
            [*answered("a", "b"), *answered("c", "d", 2, latency_ms=1600)],
            ["s.yaml:6:8: turn 2: the reply took 2.0 times as long as in turn 1 (1600 ms), at most 1.5 times was expected"],
        ),
        ("    - {}\n    - {}", answered("a", "b"), ["s.yaml:4:3: 2 turns expected, got 1\n  turn 1: 'a'"]),
        ("    []", answered("a", "b"), ["s.yaml:4:3: 0 turns expected, got 1\n  turn 1: 'a'"]),
        (
            "    - {}\n  history: [{user: a}, {assistant: b}]",
            answered("a", "b"),
            ["s.yaml:6:3: the model was shown another history:\n  user: a"],
        ),
    ],
)
def test_what_differs(tmp_path: Path, expected: str, lines: list[Line], told: list[str]) -> None:
    assert differences(tmp_path, expected, *lines) == told


def test_with_real_models_the_words_of_a_reply_are_not_judged(tmp_path: Path) -> None:
    expected = "    - {heard: How many days are there?, replied: Seven., words: 1}\n  history: []"
    lines = answered("How many ways are there?", "A week has eight days.")
    assert differences(tmp_path, expected, *lines, real=True) == []
    assert len(differences(tmp_path, expected, *lines)) == 4


def test_what_was_cut_off_ends_so_in_the_history(tmp_path: Path) -> None:
    prompt = '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "%s"}, {"role": "user", "content": "b"}]'
    expected = "    - {answered: false}\n  history: [{user: a}, {assistant: One…}, {user: b}]"
    assert differences(tmp_path, expected, *confirmed(line("prompt", messages=prompt % "One two…"))) == []
    assert len(differences(tmp_path, expected, *confirmed(line("prompt", messages=prompt % "One two")))) == 1


def test_who_waits_in_vain_and_what_never_ends(tmp_path: Path) -> None:
    file = scenario(tmp_path, "title: t\nuser:\n  - {say: a, at: {after_reply: 1s}}\nexpect: {turns: []}\n")
    found = judge(file, seen([line("cue", turn=0, name="gave_up", step=0)]))
    assert [str(d).removeprefix(f"{tmp_path}/") for d in found] == [
        "s.yaml:3:14: the moment that this step waits for never came",
        "s.yaml:2:1: it was not over after a long time",
    ]


def test_of_several_sessions_each_is_named(tmp_path: Path) -> None:
    file = scenario(tmp_path, "title: t\nuser: {anna: [cough], ben: [cough]}\nexpect: {turns: {anna: [{heard: a}]}}\n")
    found = judge(file, seen([*answered("b", "c", session="anna"), *answered("d", "e", session="ben"), OVER]))
    assert [str(d).removeprefix(f"{tmp_path}/") for d in found] == [
        "s.yaml:3:26: anna: turn 1: 'b' was understood, expected was 'a' (word error 1.00, at most 0)",
        "s.yaml:3:10: ben: 0 turns expected, got 1\n  turn 1: 'd'",
    ]
