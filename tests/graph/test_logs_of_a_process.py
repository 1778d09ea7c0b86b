"""What a node's process writes down, and that writing it down never ends it. Each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from graph import logs
from graph.testing import Harness
from tests.system.actors import Double, Number

ROOT = Path(__file__).parents[2]
WHO = "logs.configure(instance='stt.1', node='stt', life=2, pid=7)\n"


def lines(program: str, **environment: str) -> list[dict[str, Any]]:
    """What a program writes on its standard error, where it has configured its logs."""
    text = "import logging, os, sys, threading\nfrom graph import logs\n" + WHO + program
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log"
        with file.open("ab") as log:
            done = subprocess.run(
                [sys.executable, "-c", text], cwd=ROOT, env={**os.environ, **environment}, stderr=log, timeout=60
            )
        assert done.returncode == 0, file.read_text()
        return [json.loads(line) for line in file.read_text().splitlines()]


def test_who_says_it_and_what() -> None:
    [line] = lines("logs.get().info('loaded', model='base', took_s=0.5)")
    stamp = line.pop("timestamp")
    assert (len(stamp), stamp[10], stamp[-1]) == (27, "T", "Z")
    assert line == {
        "level": "info", "event": "loaded", "instance": "stt.1", "node": "stt", "life": 2, "pid": 7,
        "model": "base", "took_s": 0.5,
    }  # fmt: skip


def test_a_field_does_not_make_it_anothers_line() -> None:
    [line] = lines("logs.get().info('x', life=9, instance='llm')")
    assert (line["life"], line["instance"]) == (2, "stt.1")


def test_the_session_and_the_turn_of_the_message_in_hand() -> None:
    told = lines("""
from graph.message import Mark, Message
logs.message_in_hand(lambda: Message(Mark('', 0), session='ann', turn=3))
logs.get().info('handled')
thread = threading.Thread(target=lambda: logs.get().info('elsewhere'))
thread.start(); thread.join()
logs.message_in_hand(lambda: None)
logs.get().info('between')
""")
    assert [(line.get("session"), line.get("turn")) for line in told] == [("ann", 3), (None, None), (None, None)]


def test_an_exception_has_its_trace() -> None:
    told = lines("""
try:
    1 / 0
except ZeroDivisionError:
    logs.get().exception('ours')
    logging.getLogger('library').exception('theirs')
""")
    assert [(line["event"], line["level"]) for line in told] == [("ours", "error"), ("theirs", "error")]
    assert all(line["exception"].endswith("ZeroDivisionError: division by zero") for line in told)
    assert told[1]["logger"] == "library"


@pytest.mark.parametrize(
    ("level", "events"), [("debug", ["d", "D", "i", "I", "w", "W"]), ("info", ["i", "I", "w", "W"]), ("WARNING", ["w", "W"])]
)
def test_the_level_is_for_nodes_and_libraries(level: str, events: list[str]) -> None:
    program = """
for name in ("debug", "info", "warning"):
    getattr(logs.get(), name)(name[0])
    getattr(logging.getLogger("library"), name)(name[0].upper())
"""
    assert [line["event"] for line in lines(program, VOICEGRAPH_LOG=level)] == events


def test_a_level_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGRAPH_LOG", "inof")
    with pytest.raises(logs.LevelError, match=r"^VOICEGRAPH_LOG: 'inof' is no level \(did you mean 'info'\?\)$"):
        logs.level()
    monkeypatch.setenv("VOICEGRAPH_LOG", "")
    assert logs.level() == 20


def test_whatever_is_logged_it_never_fails() -> None:
    told = lines("""
class Bad:
    def __repr__(self):
        raise RuntimeError
own = []; own.append(own)
logs.get().info('half \\udc80', path='\\udcff', n=1)
logs.get().info('bad', bad=Bad(), keys={(1, 2): 3}, own=own)
logging.getLogger('library').warning('%d of %d', 1)
""")
    assert [line["event"] for line in told[:2]] == ["half \\udc80", "bad"]
    assert told[1]["bad"] == "<Bad, its repr failed: RuntimeError>"
    assert told[1]["own"] == "[[...]]"
    assert told[2]["event"].startswith("%d of %d (")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_ends_nobody() -> None:
    program = WHO + "logs.get().info('x')\nlogging.getLogger('library').warning('y')\nprint('on')"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", "import logging\nfrom graph import logs\n" + program],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=full,
        )
    assert (done.returncode, done.stdout) == (0, b"on\n")


def test_a_line_is_one_write() -> None:
    program = """
def write(k):
    for n in range(200):
        logs.get().info('x' * 20000, k=k)
threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
"""
    assert len(lines(program)) == 800


def test_structlog_comes_without_rich_and_for_others_all_is_as_it_was() -> None:
    [line] = lines("""
logs.get()
before = 'rich' in sys.modules
import rich.console, structlog
logs.get().info('x', before=before, configured=structlog.is_configured())
""")
    assert (line["before"], line["configured"]) == (False, False)


class Chatty(Double):
    def on_x(self, message: Any) -> Any:
        self.log.info("heard", n=message.body.n)
        return super().on_x(message)


@pytest.mark.parametrize("time", [1, 2])
def test_a_node_under_test_may_log(time: int, capsys: pytest.CaptureFixture[str]) -> None:
    with Harness(Chatty) as node:
        node.feed("x", Number(time))
    assert json.loads(capsys.readouterr().err)["n"] == time
