"""Logs as files: lines with and without a time, old files, followers, rotation."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graph.log_files import Follower, files_of, read
from graph.log_lines import BadSince, Line, at_least, parse, since
from graph.log_rotation import KEPT, Journal, cut, old, shift


def said(second: int, event: str) -> str:
    return f'{{"timestamp":"2026-01-01T00:00:{second:02}.000000Z","level":"info","event":"{event}","n":1}}\n'


def events(lines: object) -> list[str]:
    return [line.event for line in lines]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "level", "event"),
    [
        ('{"timestamp":"T","level":"warning","event":"x","k":2}', "warning", "x"),
        ("printed", "info", "printed"),
        ("Traceback (most recent call last):", "error", "Traceback (most recent call last):"),
        ("ValueError: no", "error", "ValueError: no"),
        ('{"half": ', "info", '{"half": '),
        ('{"no": "time"}', "info", '{"no": "time"}'),
    ],
)
def test_a_line_is_read_whatever_it_is(text: str, level: str, event: str) -> None:
    line = parse(text, "stt", "before")
    assert (line.level, line.event, line.instance) == (level, event, "stt")
    assert line.timestamp == ("T" if '"T"' in text else "before")


def test_all_files_are_merged_by_time_and_what_has_none_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.log.1").write_text(said(1, "a1") + "printed\n")
    (tmp_path / "a.log").write_text(said(5, "a5"))
    (tmp_path / "b.log").write_text(said(3, "b3"))
    assert files_of(tmp_path).keys() == {"a", "b"}
    assert events(read(tmp_path, ["a", "b"])) == ["a1", "printed", "b3", "a5"]


def test_since_is_so_long_ago_or_a_time() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert since("5m", now) == "2026-01-01T11:55:00.000000Z"
    assert since("2026-01-01T10:00:00+00:00") == "2026-01-01T10:00:00.000000Z"
    with pytest.raises(BadSince, match="is no time"):
        since("yesterday")


def test_levels_from_one_up() -> None:
    assert at_least("warning") == {"warning", "error", "critical"}


def test_a_follower_reads_over_a_rotation_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text(said(1, "old"))
    follower = Follower(file, "a")
    assert events(follower.lines()) == ["old"]
    with file.open("a") as writer:
        writer.write(said(2, "two") + said(3, "three")[:20])
        writer.flush()
        assert events(follower.lines()) == ["two"]
        writer.write(said(3, "three")[20:])
    shift(file)
    file.write_text(said(4, "four"))
    assert events(follower.lines()) == ["three", "four"]
    assert events(follower.lines()) == []


def test_only_so_many_old_files_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    for n in range(KEPT + 3):
        file.write_text(str(n))
        assert cut(file, most=1)
        assert file.read_text() == ""
    assert [old(file, age).read_text() for age in range(1, KEPT + 1)] == ["5", "4", "3"]
    assert not old(file, KEPT + 1).exists()
    assert not cut(file, most=1), "it is short"


def test_a_process_goes_on_in_a_new_file_and_no_line_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    program = f"""
import os, pathlib
from graph.log_rotation import rotate
for n in range(1000):
    os.write(1 + n % 2, b"%d\\n" % n)
    rotate(pathlib.Path({str(file)!r}), most=1500)
"""
    with file.open("ab") as log:
        subprocess.run([sys.executable, "-c", program], stdout=log, stderr=log, check=True)
    files = [one for one in [*(old(file, age) for age in range(KEPT, 0, -1)), file] if one.exists()]
    assert len(files) > 2
    found = [n for one in files for n in one.read_text().split()]
    assert found == [str(n) for n in range(1000)]


def test_the_supervisor_notes_what_it_tells(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "supervisor.log")
    journal.note("status", "loading", "stt")
    (line,) = read(tmp_path, ["supervisor"])
    assert isinstance(line, Line)
    assert (line.level, line.event, line.fields) == ("info", "loading", {"about": "stt"})


def test_a_file_that_grew_too_fast_keeps_its_end_and_says_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.log_rotation.HUGE", 200)
    file = tmp_path / "a.log"
    file.write_text("".join(f"line {n:04}\n" for n in range(100)))
    assert cut(file, most=100)
    first, *kept = old(file, 1).read_text().splitlines()
    assert kept == [f"line {n:04}" for n in range(91, 100)]
    assert json.loads(first)["bytes"] == 910


def test_one_rotates_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("long")
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not cut(file, most=1)
    assert cut(file, most=1)


def test_a_disk_that_refuses_is_no_reason_to_end(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("long")
    (tmp_path / ".a.log.copy").mkdir()  # nothing can be written there
    assert not cut(file, most=1)
    assert file.read_text() == "long"
    (tmp_path / ".a.log.new").mkdir()
    program = f"from graph.log_rotation import rotate; import pathlib; rotate(pathlib.Path({str(file)!r}), most=1); print('on')"
    with file.open("ab") as log:
        subprocess.run([sys.executable, "-c", program], stdout=log, stderr=log, check=True)
    assert file.read_text() == "longon\n"
