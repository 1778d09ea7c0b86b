from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graph.errors import VoicegraphError
from graph.plan import Instance, Plan
from graph.rundir import RunDir, base_dir, process_of


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return RunDir.of(plan())


def plan(instance: str = "a") -> Plan:
    endpoint = f"ipc://{{run}}/{instance}.out"
    return Plan("one", "one.yaml", (), (Instance(instance, "a", out=endpoint),), ())


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_the_folder_is_the_users_alone_and_the_same_each_time(run: RunDir) -> None:
    os.close(run.lock())
    assert run.path.stat().st_mode & 0o777 == 0o700
    assert run.path.parent == base_dir()
    assert RunDir.of(plan()) == run
    assert RunDir.of(Plan("other", "one.yaml", (), (), ())) != run


def test_a_second_owner_is_refused_and_told_who_owns_it(run: RunDir) -> None:
    held = run.lock()
    with pytest.raises(VoicegraphError) as told:
        run.lock()
    assert str(told.value) == f"this graph is running already (process {os.getpid()}): stop it first"
    os.close(held)
    os.close(run.lock())


def test_the_plan_is_read_as_it_was_written(run: RunDir) -> None:
    os.close(run.lock())
    run.write_plan(plan())
    assert run.read_plan() == plan()


def test_only_living_processes_are_alive(run: RunDir) -> None:
    os.close(run.lock())
    run.register("me", os.getpid())
    (run.path / "dead.pid").write_text(f'{{"pid": {dead_pid()}, "started": 1}}')
    (run.path / "reused.pid").write_text(f'{{"pid": {os.getpid()}, "started": 1}}')
    (run.path / "half.pid").write_text('{"pi')
    assert set(run.alive()) == {"me"}


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()  # until it has ended; nobody has waited for it yet
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_of(child.pid) is None
    child.wait()
    child.stdout.close()


def test_the_last_to_leave_takes_the_folder_with_it(run: RunDir) -> None:
    os.close(run.lock())
    run.register("a", os.getpid())
    run.register("b", os.getpid())
    run.leave("a")
    assert run.path.exists()
    run.leave("b")
    assert not run.path.exists()


def test_the_folder_of_a_new_owner_is_left_alone(run: RunDir) -> None:
    held = run.lock()
    run.register("a", os.getpid())
    run.leave("a")
    assert run.path.exists()
    os.close(held)


def test_temporary_files_of_nodes_go_with_the_run(run: RunDir) -> None:
    held = run.lock()
    scratch = run.make_scratch()
    (scratch / "library.so").touch()
    run.clear()
    assert not scratch.exists()
    assert list(run.path.iterdir()) == [run.path / "lock"]
    scratch = run.make_scratch()
    run.remove()
    assert not scratch.exists()
    os.close(held)


def test_a_socket_path_that_is_too_long_is_told(run: RunDir) -> None:
    run.check_length(plan())
    with pytest.raises(VoicegraphError, match=r"is longer than 107 bytes: set XDG_RUNTIME_DIR to a shorter folder"):
        run.check_length(plan("a" * 107))


def test_the_control_socket_counts_too_where_all_names_are_short() -> None:
    run = RunDir(Path("/" + "x" * 100))  # "a.out" just fits
    with pytest.raises(VoicegraphError, match=r"/control is longer than 107 bytes"):
        run.check_length(plan())
