"""`graph test` as a user calls it: the shipped scenarios with stand-ins for the models, one that fails, bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .graphs import PATIENCE_S, ROOT, background, eventually

SHIPPED = ROOT / "tests/scenarios"
ALL_WITHIN_S = 1200
pytestmark = [pytest.mark.models, pytest.mark.timeout(ALL_WITHIN_S)]

QUESTION = """\
title: a question
user:
  - say: How many days are there in a week?
models:
  llm: {replies: [There are seven.]}
expect:
  turns:
    - heard: How many days are there in a week?
"""


@pytest.fixture
def runtime() -> Iterator[Path]:
    """Where graphs run; whatever is left there at the end is killed."""
    with background() as folder:
        yield folder


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "graph.cli", "test", *map(str, arguments)]


def environment(runtime: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}


def held(runtime: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`graph test`; nothing of it is left."""
    call = command(*arguments)
    done = subprocess.run(
        call, cwd=ROOT, env=environment(runtime), capture_output=True, text=True, timeout=ALL_WITHIN_S, check=False
    )
    assert "Traceback" not in done.stderr
    assert [path for path in runtime.rglob("*") if path.name != "vg"] == []
    return done


def scenario(folder: Path, text: str = QUESTION, name: str = "question") -> Path:
    """A scenario of one's own, with the shipped speech beside it."""
    if not (folder / "speech").exists():
        (folder / "speech").symlink_to(SHIPPED / "speech")
    (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


def told(done: subprocess.CompletedProcess[str], folder: Path) -> list[str]:
    """What was printed, without the folder and with no times."""
    return re.sub(r"\d+ s\b", "N s", done.stdout.replace(f"{folder}/", "")).splitlines()


def test_all_shipped_scenarios_pass_with_stand_ins(runtime: Path) -> None:
    done = held(runtime, SHIPPED)
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(list(SHIPPED.glob("*.yaml")))
    assert count >= 20
    lines = done.stdout.splitlines()
    assert [line[0] for line in lines[:-1]] == ["✓"] * count
    assert re.fullmatch(rf"{count} scenarios in \d+ s: {count} passed", lines[-1])


def test_what_fails_is_told_with_its_place_beside_what_passes(runtime: Path, tmp_path: Path) -> None:
    wrong = QUESTION.replace(
        "    - heard: How many days are", "    - replied: There are eight.\n      heard: How many weeks are"
    )
    scenario(tmp_path, wrong.replace("a question", "another"), "another")
    scenario(tmp_path)
    done = held(runtime, tmp_path, "--keep", tmp_path / "kept")
    assert done.returncode == 1
    assert told(done, tmp_path) == [
        "✗ another: another (N s)",
        "    another.yaml:9:7: turn 1: 'How many days are there in a week?' was understood, "
        "expected was 'How many weeks are there in a week?' (word error 0.12, at most 0)",
        "    another.yaml:8:7: turn 1: of the reply 'There are eight.' was expected, heard was 'There are seven.'",
        "✓ question: a question (N s)",
        "2 scenarios in N s: 1 passed, 1 failed",
    ]
    kept = {path.name for path in (tmp_path / "kept/question").iterdir()}
    assert {"graph.yaml", "report.json", "witnessed.jsonl", "output.txt", "out", "state"} <= kept
    assert (tmp_path / "kept/question/out/conversation.wav").exists()


def test_the_same_scenario_gives_the_same_result(runtime: Path) -> None:
    def result() -> list[dict[str, Any]]:
        done = held(runtime, SHIPPED / "hesitation.yaml", SHIPPED / "two-sessions.yaml", "--json")
        assert done.returncode == 0, done.stdout
        found: list[dict[str, Any]] = json.loads(done.stdout)
        for one in found:
            del one["seconds"]
            for turn in (turn for turns in one["turns"].values() for turn in turns):
                assert turn.pop("latency_ms") > 0
                assert turn.pop("gaps") >= 0
        return found

    first = result()
    assert [one["scenario"] for one in first] == ["hesitation", "two-sessions"]
    assert [len(turns) for turns in first[1]["turns"].values()] == [2, 2]
    assert result() == first


def test_a_step_that_waits_in_vain_and_a_crash(runtime: Path, tmp_path: Path) -> None:
    text = QUESTION.replace(
        "models:\n", "  - {say: in a week?, at: {after_reply: 0s}}\npatience: 1s\nmodels:\n  stt: {turns: {1: {fail: no}}}\n"
    )
    done = held(runtime, scenario(tmp_path, text))
    assert done.returncode == 1
    assert told(done, tmp_path)[1:-1] == [
        "    question.yaml:4:23: the moment that this step waits for never came",
        "    question.yaml:11:7: turn 1: nothing was understood, expected was 'How many days are there in a week?'",
        "    question.yaml:11:7: turn 1: no reply was heard",
        "    question.yaml:9:1: 'stt' has died",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"pacee: fast\n{QUESTION}", "question.yaml:1:1: unknown key 'pacee' (did you mean 'pace'?)"),
        (
            f"{QUESTION}overlay: {{nodes: {{turn: {{with: {{barge_in_s: 1}}}}}}}}\n",
            "question.yaml:9:33: turn: unknown parameter 'barge_in_s' (did you mean 'barge_in_ms'?)",
        ),
        (f"graph: none.yaml\n{QUESTION}", "none.yaml: no such file (did you mean 'question.yaml'?)"),
    ],
)
def test_bad_input_is_told_before_anything_is_run(runtime: Path, tmp_path: Path, text: str, message: str) -> None:
    done = held(runtime, scenario(tmp_path, text))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.replace(f"{tmp_path}/", "").strip() == message


def test_there_is_no_such_scenario(runtime: Path, tmp_path: Path) -> None:
    done = held(runtime, scenario(tmp_path), "-k", "answer")
    assert (done.returncode, done.stderr) == (2, "no scenario fits 'answer' (1 looked at)\n")


def test_ctrl_c_ends_what_is_under_way(runtime: Path, tmp_path: Path) -> None:
    call = command(scenario(tmp_path), "--keep", tmp_path / "kept")
    process = subprocess.Popen(call, cwd=ROOT, env=environment(runtime), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output = tmp_path / "kept/question/output.txt"
        eventually(lambda: output.exists() and "running" in output.read_text(), "the graph runs")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    finally:
        process.kill()
        process.communicate()
    assert [path for path in runtime.rglob("*") if path.name != "vg"] == []
