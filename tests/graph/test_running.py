"""Which graphs run, and which one is meant: every wrong call has its text."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from graph.plan import Instance, Plan, PlannedNode
from graph.rundir import RunDir, process_of
from graph.running import Found, NotRunning, Running, WrongCall, choose, look, owner

ME = os.getpid()


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def plan(name: str = "demo", file: str = "/graphs/demo.yaml") -> Plan:
    node = PlannedNode("mid", "x:Y", "x:Y", {}, ("mid",))
    return Plan(name, file, (node,), (Instance("mid", "mid"),), ())


def running(name: str = "demo", file: str = "/graphs/demo.yaml", supervised: bool = True) -> Running:
    made = plan(name, file)
    return Running(RunDir.of(made), made, process_of(ME) if supervised else None)


@pytest.fixture
def begun() -> Iterator[RunDir]:
    """The folder of a graph whose supervisor is this very process."""
    directory = RunDir.of(plan())
    lock = directory.lock()
    directory.write_plan(plan())
    yield directory
    os.close(lock)


def told(found: Found, wanted: str | None) -> tuple[int, str]:
    """The exit code and the text of a wrong choice."""
    with pytest.raises((NotRunning, WrongCall)) as caught:
        choose(found, wanted)
    return caught.value.exit_code, str(caught.value)


class TestChoosing:
    def test_the_only_one_by_name_or_by_file(self) -> None:
        one, other = running(), running("other", "/graphs/other.yaml")
        assert choose(Found([one]), None) is one
        assert choose(Found([one, other]), "demo") is one
        assert choose(Found([one, other]), "/graphs/other.yaml") is other

    @pytest.mark.parametrize("wanted", [None, "demo"])
    def test_none(self, wanted: str | None) -> None:
        assert told(Found(), wanted) == (1, "no graph is running (start one: graph run -d FILE)")

    def test_several(self) -> None:
        found = Found([running(), running("other")])
        assert told(found, None) == (2, "several graphs are running: demo, other (name one of them)")

    def test_one_that_is_not_there(self) -> None:
        found = Found([running(), running("other")])
        assert told(found, "demi") == (2, "no graph 'demi' is running (did you mean 'demo'?)")
        assert told(found, "xyz") == (2, "no graph 'xyz' is running (running: demo, other)")

    def test_two_of_one_name(self) -> None:
        files = ("/a/demo.yaml", "/b/demo.yaml")
        found = Found([running(file=file) for file in files])
        text = "2 graphs named 'demo' are running (name one by its file: /a/demo.yaml, /b/demo.yaml)"
        assert told(found, "demo") == (2, text)
        assert choose(found, "/b/demo.yaml") is found.graphs[1]

    def test_a_folder_that_may_not_be_read(self) -> None:
        text = "cannot look into /run/vg/0badcafe: permission denied (whoever started the graph may)"
        assert told(Found(denied=[Path("/run/vg/0badcafe")]), None) == (1, text)

    def test_a_node_that_is_not_there(self) -> None:
        for wanted, hint in {
            "mud": "did you mean 'mid'?",
            "xyz": "its nodes: mid",
            "demo": "it is the graph: graph stop -g demo",
        }.items():
            with pytest.raises(WrongCall) as caught:
                running().check_node(wanted)
            assert str(caught.value) == f"the graph 'demo' has no node '{wanted}' ({hint})"


class TestLooking:
    def test_a_graph_that_runs(self, begun: RunDir) -> None:
        (graph,) = look().graphs
        assert (graph.name, graph.supervisor, graph.lives) == ("demo", process_of(ME), True)
        graph.check_left()

    def test_to_look_disturbs_nobody(self) -> None:
        directory = RunDir.of(plan())
        os.close(directory.lock())
        assert owner(directory) is None
        os.close(directory.lock())

    def test_one_whose_supervisor_was_killed(self, begun: RunDir) -> None:
        (begun.path / "lock").write_text(str(dead_pid()))
        assert look().graphs == [], "nobody lives"
        begun.register("mid", ME)
        (graph,) = look().graphs
        assert graph.supervisor is None
        text = (
            "the supervisor of 'demo' was killed, 1 of its processes live on "
            "(`graph run /graphs/demo.yaml` takes over, `graph stop -g demo` ends them)"
        )
        for check in (graph.check_supervised, running().check_left):
            with pytest.raises(NotRunning) as caught:
                check()
            assert str(caught.value) == text

    def test_one_that_took_its_folder_with_it_has_ended(self) -> None:
        running().check_left()

    @pytest.mark.parametrize("lock", ["", "1", "no number", "99999999"])
    def test_what_a_crash_has_left_is_passed_over(self, runtime: Path, lock: str) -> None:
        left = runtime / "vg" / "0badcafe"
        left.mkdir(parents=True)
        (left / "lock").write_text(lock)
        (runtime / "vg" / "empty").mkdir()
        (runtime / "vg" / "a file").touch()
        assert look() == Found()

    def test_a_plan_of_another_version_is_passed_over(self, begun: RunDir) -> None:
        (begun.path / "epoch.msgpack").write_bytes(msgspec.msgpack.encode({"nodes": 1}))
        assert look() == Found()

    def test_a_folder_that_may_not_be_read(self, begun: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(path: Path, *_: object) -> int:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        with monkeypatch.context() as patched:  # root may read everything
            patched.setattr("graph.running.os.open", denied)
            assert look() == Found(denied=[begun.path])

    def test_the_folder_of_all_runs_may_not_be_read(self, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(path: Path) -> Iterator[Path]:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(Path, "iterdir", denied)
        with pytest.raises(NotRunning) as caught:
            look()
        assert str(caught.value) == f"{runtime}/vg: Permission denied (set XDG_RUNTIME_DIR to a folder of your own)"


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid
