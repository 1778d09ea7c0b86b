"""Tables of benches: what is met, what is missed, and what can be said without an arm."""

from __future__ import annotations

import pytest

from bench.bargein import command as bargein
from bench.bargein.figures import FalseAlarm, Interruption
from bench.bargein.figures import Session as Interrupted
from bench.bargein.sounds import UH_HUH
from bench.isolation import command as isolation
from bench.sessions import command as sessions
from bench.sessions.figures import Crowd
from bench.voice.figures import Session, Turn
from graph.scenarios.word_error import WordError


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


def interrupted(ducked_ms: float, paused_ms: float, lost: bool) -> list[Interrupted]:
    alarm = FalseAlarm(UH_HUH, noticed=True, lost=lost, back_ms=None if lost else 180)
    return [Interrupted([Interruption(ducked_ms, paused_ms, paused_ms, 600, True)] * 2, [alarm], 0, 0, 0, 0)]


def lines(printed: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in printed.splitlines() if "│" in line]
    return {row[0]: row[1:] for row in rows}


def test_barge_in_is_held_against_aims_and_pipecat(capsys: pytest.CaptureFixture[str]) -> None:
    runs = {"voicegraph": interrupted(90, 210, lost=False), "Pipecat": interrupted(360, 420, lost=True)}
    bargein.compare(runs)
    told = lines(capsys.readouterr().out)
    assert told["ducked, ms (median)"] == ["90", "≤ 100", "met", "0.25"]
    assert told["paused, ms (median)"] == ["210", "≤ 200", "missed", "0.50"]
    assert told["replies lost to false alarms"] == ["0 of 1", "0", "met", "1 of 1 of theirs"]
    assert dict(bargein.rows())[f"{UH_HUH}: unnoticed, came back, lost"](runs["Pipecat"]) == "0, 0, 1"
    bargein.compare({"Pipecat": runs["Pipecat"]})
    assert capsys.readouterr().out == ""


def talked(*latencies_ms: float | None) -> list[Session]:
    return [Session([Turn("joe", "", "", WordError(), ms, missed=ms is None) for ms in latencies_ms], 0, 0)]


def test_isolation_is_held_against_what_pipecat_grows(capsys: pytest.CaptureFixture[str]) -> None:
    ours, node, killed = talked(1000), talked(1200), talked(1000, None, 1100)
    isolation.compare({"voicegraph": ours, "voicegraph, hog a node": node, "voicegraph, nodes killed": killed})
    told = lines(capsys.readouterr().out)
    assert told["voicegraph, hog a node"] == ["+200", "", "", "", "0", "0", "met"]
    assert told["voicegraph, nodes killed"][4:] == ["1", "0", "missed"]
    theirs = {"Pipecat": talked(2000), "Pipecat, hog inside": talked(3000)}
    isolation.compare({"voicegraph": ours, "voicegraph, hog a node": node, **theirs})
    assert lines(capsys.readouterr().out)["voicegraph, hog a node"][:4] == ["+200", "0.20", "≤ 0.50", "met"]


def test_no_session_may_miss_or_mix_up_turns(capsys: pytest.CaptureFixture[str]) -> None:
    alone, many = Crowd(talked(800)[0].turns, 0, 0.1, 0, 0), Crowd(talked(1000, None)[0].turns, 2, 0.3, 0, 0)
    sessions.compare({"1 at once": [alone]})
    assert lines(capsys.readouterr().out)["turns missed or mixed up"] == ["0", "0", "met"]
    sessions.compare({"1 at once": [alone], "2 at once": [many]})
    told = lines(capsys.readouterr().out)
    assert told["turns missed or mixed up"] == ["3", "0", "missed"]
    assert told["latency, 2 at once / 1 at once: median, p90"][0] == "1.25 1.25"
    assert dict(sessions.rows())["processors in use"]([alone, many]) == "0.20"
