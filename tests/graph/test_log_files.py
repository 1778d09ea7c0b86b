"""A follower reads every line once, whatever happens to the file between two looks."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from graph.log_files import Follower, read
from graph.log_lines import Lines, parse, printable
from graph.log_rotation import KEPT, cut, old, shift

from .test_logs import events, said


class Writer:
    """Writes numbered lines; its file is renamed (what a node does) or copied and emptied (programs)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.written: list[str] = []
        self._opened = file.open("ab", buffering=0)

    def write(self, lines: int) -> None:
        for _ in range(lines):
            self.written.append(f"line {len(self.written)}")
            self._opened.write(f"{self.written[-1]}\n".encode())

    def rename(self) -> None:
        shift(self.file)
        self._opened.close()
        self._opened = self.file.open("ab", buffering=0)

    def cut(self) -> None:
        cut(self.file, most=0)

    def close(self) -> None:
        self._opened.close()


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("how", ["rename", "cut"])
def test_every_line_once_over_any_rotations(tmp_path: Path, how: str, seed: int) -> None:
    chance = random.Random(seed)
    writer = Writer(tmp_path / "a.log")
    found: list[str] = []
    follower = Follower(writer.file, "a")
    for _ in range(30):
        for _ in range(chance.randrange(KEPT)):  # as many as leave the file that was read last among those kept
            writer.write(chance.randrange(4))
            if chance.random() < 0.6:
                getattr(writer, how)()
        writer.write(chance.randrange(3))
        found += events(follower.lines())
    assert found == writer.written
    writer.close()
    follower.close()


def test_what_is_gone_before_it_was_read_is_lost_and_nothing_else(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "a.log")
    follower = Follower(writer.file, "a")
    writer.write(2)
    assert events(follower.lines()) == writer.written
    for _ in range(KEPT + 2):
        writer.write(1)
        writer.rename()
    assert events(follower.lines()) == [writer.written[2], *writer.written[-KEPT:]], "the one it had open is still there"
    writer.close()
    follower.close()


def test_what_was_left_out_is_not_counted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.log_rotation.HUGE", 200)
    writer = Writer(tmp_path / "a.log")
    follower = Follower(writer.file, "a")
    writer.write(25)
    assert events(follower.lines()) == writer.written
    writer.write(2)
    cut(writer.file, most=100)
    writer.write(1)
    assert events(follower.lines()) == writer.written[25:]
    writer.write(60)
    cut(writer.file, most=100)
    told = events(follower.lines())
    assert told[-1] == writer.written[-1]
    assert told == writer.written[-len(told) :]
    writer.close()
    follower.close()


def test_the_logs_of_the_next_run_come_behind_those_of_this_one(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("one\n")
    follower = Follower(file, "a")
    assert events(follower.lines()) == ["one"]
    with file.open("a") as writer:
        writer.write("two\n")
    file.rename(tmp_path / "elsewhere")
    assert events(follower.lines()) == ["two"]
    file.write_text("three\n")
    assert events(follower.lines()) == ["three"]
    follower.close()


def test_halves_of_lines_and_of_characters_are_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    follower = Follower(file, "a")
    assert events(follower.lines()) == [], "it is not there yet"
    with file.open("ab", buffering=0) as writer:
        writer.write(b"caf" + "é".encode()[:1])
        assert events(follower.lines()) == []
        writer.write("é".encode()[1:] + b"\nlast words")
        assert events(follower.lines()) == ["café"]
    assert events(follower.rest()) == ["last words"]
    assert events(follower.rest()) == []
    follower.close()


def test_a_line_without_an_end_takes_no_more_memory_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.log_files.PIECE", 10)
    (tmp_path / "a.log").write_text("x" * 95 + "\nend\n")
    assert [len(event) for event in events(read(tmp_path, ["a"]))] == [20, 20, 20, 20, 15, 3]


def test_what_is_printed_before_the_first_line_of_ours_has_its_time(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("loading\n" + said(7, "loaded") + "done\n")
    assert [line.timestamp[17:19] for line in read(tmp_path, ["a"])] == ["07", "07", "07"]


def test_a_program_that_tells_no_time_has_that_of_its_file_and_then_that_of_the_look(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text("hello\n")
    os.utime(file, (0, 1_000_000_000))
    follower = Follower(file, "a")
    assert [line.timestamp for line in follower.lines()] == ["2001-09-09T01:46:40.000000Z"]
    with file.open("a") as writer:
        writer.write("again\n")
    assert [line.timestamp > "2026" for line in follower.lines()] == [True]
    follower.close()


def test_a_line_of_ours_behind_something_printed_without_an_end() -> None:
    lines = Lines("a")
    assert [(line.level, line.event) for line in lines.of("10 %" + said(1, "x").rstrip())] == [("info", "10 %"), ("info", "x")]
    assert [line.event for line in lines.of('{"timestamp":"cut o')] == ['{"timestamp":"cut o']


def test_a_traceback_is_an_error_to_its_last_line() -> None:
    lines = Lines("a")
    text = ["Traceback (most recent call last):", '  File "x.py", line 1', "    f()", "Odd: no colon rule", "and on"]
    assert [line.level for one in text for line in lines.of(one)] == ["error"] * 4 + ["info"]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("0 errors, all fine", "info"),
        ("Error rate 0.1", "info"),
        ("error: no device", "error"),
        ("[E] ERROR in x", "error"),
        ("KeyError: 'x'", "error"),
        ("Segmentation fault (core dumped)", "error"),
        ("UserWarning: old", "warning"),
        ("warning: slow", "warning"),
    ],
)
def test_what_is_printed_has_the_level_it_looks_like(text: str, level: str) -> None:
    assert parse(text, "a", "").level == level


def test_a_terminal_is_not_at_the_mercy_of_what_is_printed() -> None:
    assert printable("\x1b[31mred\x1b[0m \x1b]0;title\x07and\x9b5A") == "red 0;titleand5A"
    assert printable("10 %\r100 %\r") == "100 %"


def test_old_files_of_a_log_that_is_gone(tmp_path: Path) -> None:
    old(tmp_path / "a.log", 1).write_text("x\n")
    assert events(read(tmp_path, ["a"])) == [], "as long as it has no new one"
