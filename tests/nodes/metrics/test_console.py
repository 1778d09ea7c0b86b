"""metrics.console: the conversation as it happens, and the table at the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graph.message import Mark
from graph.testing import Harness
from nodes import marks
from nodes.metrics.console import ConsoleMetrics

ROOT = Path(__file__).parents[3]


def feed(
    console: Harness[ConsoleMetrics],
    name: str,
    ms: int,
    *,
    turn: int = 1,
    session: str = "default",
    revision: int = 0,
    **fields: str | int,
) -> None:
    mark = Mark(name, 5_000_000 + ms * 1_000_000, zero=name == marks.LAST_SPOKEN_SAMPLE, fields=dict(fields))
    console.feed("marks", mark, turn=turn, session=session, revision=revision)


def converse(console: Harness[ConsoleMetrics]) -> None:
    feed(console, marks.LAST_SPOKEN_SAMPLE, 0)
    feed(console, marks.TURN_CONFIRMED, 310)
    feed(console, marks.TRANSCRIPT, 612, text="How many days are there in a week?")
    feed(console, marks.FIRST_TOKEN, 700)
    feed(console, marks.FIRST_CLAUSE, 790)
    feed(console, marks.REPLY, 800, text="A week has 7 days.")
    feed(console, marks.FIRST_AUDIO, 2950)
    feed(console, marks.PLAYED, 5000, text="A week has 7 days.")


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Harness[ConsoleMetrics]:
    monkeypatch.delenv("COLUMNS", raising=False)
    return Harness(ConsoleMetrics)


def test_the_conversation_is_told_as_it_happens(console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]) -> None:
    feed(console, marks.LAST_SPOKEN_SAMPLE, 0)
    feed(console, marks.TRANSCRIPT, 612, text="How many days [are] there in a week?")
    assert capsys.readouterr().out == "  1 user      How many days [are] there in a week?  (+612 ms)\n"
    feed(console, marks.REPLY, 800, text="A week has 7 days.")
    assert capsys.readouterr().out == ""  # written, not heard yet
    feed(console, marks.FIRST_AUDIO, 2950)
    assert capsys.readouterr().out == "  1 assistant A week has 7 days.  (+2950 ms)\n"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split("[┃│]", line)[1:-1]]


def test_the_table_has_the_times_of_each_turn(console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]) -> None:
    converse(console)
    feed(console, marks.LAST_SPOKEN_SAMPLE, 9000, turn=2)
    feed(console, marks.TRANSCRIPT, 9500, turn=2, text="")
    capsys.readouterr()
    console.drain()
    title, *table = capsys.readouterr().out.splitlines()
    assert title.strip() == "ms after the last spoken sample"
    header = [" ".join(two).strip() for two in zip(cells(table[1]), cells(table[2]), strict=True)]
    assert header == ["turn", "user", "confirmed", "transcript", "first token", "first clause", "first audio", "assistant"]
    assert cells(table[4]) == [
        "1",
        "How many days are there in a week?",
        "310",
        "612",
        "700",
        "790",
        "2950",
        "A week has 7 days.",
    ]
    assert cells(table[5]) == ["2", "", "", "500", "", "", "", ""]


def test_the_output_of_a_pipe_is_plain(console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]) -> None:
    converse(console)
    console.drain()
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 120


def test_without_a_turn_it_says_so(console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]) -> None:
    feed(console, marks.FIRST_AUDIO, 5, turn=0)  # an announcement
    console.drain()
    assert capsys.readouterr().out == "no speech was heard\n"


def test_an_unintelligible_turn_and_an_unheard_reply_are_told(
    console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]
) -> None:
    feed(console, marks.TRANSCRIPT, 612, text="")
    feed(console, marks.REPLY, 900, text="Pardon?")
    assert capsys.readouterr().out == "  1 user      (nothing intelligible)\n"
    console.drain()
    assert capsys.readouterr().out.splitlines()[0] == "  1 assistant Pardon?"


def test_sessions_are_kept_apart(console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]) -> None:
    converse(console)
    feed(console, marks.LAST_SPOKEN_SAMPLE, 10, session="anna")
    feed(console, marks.TRANSCRIPT, 20, session="anna", text="Hi.")
    assert capsys.readouterr().out.splitlines()[-1] == "anna   1 user      Hi.  (+10 ms)"
    console.drain()
    assert "session" in cells(capsys.readouterr().out.splitlines()[3])


def test_a_newer_revision_replaces_the_older(console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]) -> None:
    feed(console, marks.LAST_SPOKEN_SAMPLE, 0)
    feed(console, marks.TRANSCRIPT, 500, text="Tell me")
    feed(console, marks.LAST_SPOKEN_SAMPLE, 1000, revision=1)
    feed(console, marks.REPLY, 1100, text="What?")  # of the older revision
    feed(console, marks.TRANSCRIPT, 1400, revision=1, text="Tell me a story.")
    assert capsys.readouterr().out.splitlines()[-1] == "  1 user      Tell me a story.  (+400 ms)"
    console.drain()
    out = capsys.readouterr().out
    assert "Tell me a story." in out
    assert "What?" not in out


PRINT = """
from graph.testing import Harness
from nodes.metrics.console import ConsoleMetrics
from tests.nodes.metrics.test_console import converse
console = Harness(ConsoleMetrics)
input()
converse(console)
console.drain()
print("done", file=__import__("sys").stderr)
"""


def test_a_reader_that_goes_away_ends_the_printing_only() -> None:
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", PRINT], cwd=ROOT, stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    os.close(reading)
    _, errors = child.communicate("go\n", timeout=60)
    assert (child.returncode, errors) == (0, "done\n")


def test_what_the_terminal_cannot_write_is_replaced() -> None:
    script = PRINT.replace("input()", "").replace("converse(console)", 'console.node._out.print("naïve 今日")')
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, timeout=60)
    assert done.stdout.decode("latin-1").splitlines() == ["naïve ??", "no speech was heard"]


def test_a_turn_that_failed_is_told_with_its_cause(
    console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]
) -> None:
    feed(console, marks.LAST_SPOKEN_SAMPLE, 0)
    feed(console, marks.TRANSCRIPT, 612, text="How are you?")
    feed(console, marks.TURN_FAILED, 20_000, cause="nothing was heard within 20 s")
    feed(console, marks.FIRST_AUDIO, 20_400, revision=1)  # of an apology
    feed(console, marks.PLAYED, 22_000, revision=1, text="Sorry.")
    console.drain()
    told = capsys.readouterr().out
    assert "  1 (failed)  nothing was heard within 20 s  (+20000 ms)\n" in told
    assert "How are you?" in told.partition("ms after")[2]
    assert "20400" in told
    assert "Sorry. (nothing was" in told


def test_a_reply_that_was_not_heard_in_one_piece_is_told(
    console: Harness[ConsoleMetrics], capsys: pytest.CaptureFixture[str]
) -> None:
    for turn, (gaps, gap_ms) in enumerate([(0, 0), (1, 90), (2, 340)], 1):
        feed(console, marks.LAST_SPOKEN_SAMPLE, 0, turn=turn)
        feed(console, marks.PLAYED, 5000, turn=turn, text="So it is.", gaps=gaps, gap_ms=gap_ms)
    console.drain()
    told = capsys.readouterr().out
    assert re.findall(r"So it is\.( \(.*?\))?", told) == ["", " (1 gap, 90 ms)", " (2 gaps, 340 ms)"]
