"""What the doctor makes of a machine's sound cards, limits and folders."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.doctor import folders, sound, system
from graph.doctor.finding import ok, problem
from graph.plan import Edge
from graph.rundir import LOCK, RINGS, RunDir, process_of

from .test_doctor import Disk, node, plan

MIC = {"index": 0, "name": "Mic", "input": 1, "output": 0}
BOX = {"index": 1, "name": "Box", "input": 0, "output": 2}
USB = {"index": 2, "name": "USB Mic", "input": 1, "output": 0}


def card(*devices: dict[str, Any], **default: int) -> dict[str, Any]:
    return {"input": -1, "output": -1, **default, "devices": list(devices)}


class TestSound:
    LISTENS = node("ear", source=True)
    SPEAKS = node("mouth")

    def test_defaults(self) -> None:
        found = sound.check_sound(card(MIC, BOX, input=0, output=1), [self.LISTENS, self.SPEAKS])
        assert found == [ok("sound input", "0 'Mic'"), ok("sound output", "1 'Box'")]

    @pytest.mark.parametrize(
        ("device", "answer", "text"),
        [
            (None, card(), "this machine has no input device"),
            (None, card(MIC, BOX), "there is no default; there are 0 'Mic'"),
            ("nope", card(MIC, input=0), "there is no 'nope'; there are 0 'Mic'"),
            (1, card(MIC, BOX, input=0), "there is no '1'; there are 0 'Mic'"),
            ("m", card(MIC, USB, input=0), "more than one is 'm'; there are 0 'Mic', 2 'USB Mic'"),
        ],
    )
    def test_no_such_device(self, device: int | str | None, answer: dict[str, Any], text: str) -> None:
        listens = node("ear", source=True, config={"device": device})
        [found] = sound.check_sound(answer, [listens])
        assert (found.verdict, found.text) == ("problem", text)
        assert found.do

    @pytest.mark.parametrize(("device", "name"), [("usb", "2 'USB Mic'"), ("MIC", "0 'Mic'"), (2, "2 'USB Mic'")])
    def test_a_device_by_name(self, device: int | str, name: str) -> None:
        listens = node("ear", source=True, config={"device": device})
        assert sound.check_sound(card(MIC, USB, input=0), [listens]) == [ok("sound input", name)]

    @pytest.mark.parametrize(
        ("answer", "do"),
        [
            ({"missing": "module"}, "pip install 'voicegraph[microphone]'"),
            ({"missing": "portaudio"}, "sudo apt-get install libportaudio2"),
            ({"broken": "asking PortAudio was killed by signal 11"}, "python -m sounddevice"),
        ],
    )
    def test_what_is_missing_below(self, answer: dict[str, Any], do: str) -> None:
        assert [(f.verdict, f.do) for f in sound.check_sound(answer, [self.LISTENS])] == [("problem", do)]
        assert [f.verdict for f in sound.check_sound(answer, [], every=True)] == ["warning"]

    @pytest.mark.parametrize(
        ("program", "why"),
        [
            ("import os; os.kill(os.getpid(), 11)", "asking PortAudio was killed by signal 11"),
            ("import time; time.sleep(60)", "PortAudio did not answer within 0.5 s"),
            ("raise ValueError('no driver')", "asking PortAudio failed: ValueError: no driver"),
            ("print('ALSA says hello')", "PortAudio could not be asked: Expecting value"),
            ("", "PortAudio could not be asked: list index out of range"),
        ],
    )
    def test_a_broken_driver_takes_only_its_own_process_down(self, program: str, why: str) -> None:
        assert sound.ask([sys.executable, "-S", "-c", program], 0.5)["broken"].startswith(why)

    def test_what_drivers_print_is_passed_over(self) -> None:
        program = "print('ALSA says hello'); print('{\"missing\": \"module\"}')"
        assert sound.ask([sys.executable, "-S", "-c", program]) == {"missing": "module"}


@pytest.fixture
def port() -> Iterator[int]:
    """One that somebody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


class TestSystem:
    def test_open_files(self) -> None:
        hub = node("hub")
        many = node("many", instances=tuple(f"many.{n}" for n in range(50)))
        of = plan(hub, many, edges=(Edge("hub", "out", "many", "x"),))
        assert system.check_files(of, 1024, 4096).verdict == "ok"
        found = system.check_files(of, 200, 4096)
        assert found == problem("open files", "node 'hub' may need 214 of 200 open files", "ulimit -n 214")
        assert system.check_files(of, 200, 200).do == "raise the hard limit (200) to 214"

    def test_process_watching(self) -> None:
        def refused(pid: int) -> int:
            raise OSError(38, "Function not implemented")

        assert system.check_pidfd(lambda pid: os.open(os.devnull, os.O_RDONLY)).verdict == "ok"
        assert system.check_pidfd(refused).verdict == system.check_pidfd(None).verdict == "warning"

    def test_ports(self, port: int) -> None:
        tcp = plan(node("a"), endpoint=f"tcp://127.0.0.1:{port}")
        found = system.check_ports(tcp, running=False)
        assert found is not None
        assert (found.verdict, found.text) == ("problem", f"1 of 1 are taken: tcp://127.0.0.1:{port}")
        assert found.do.endswith(f"ss -ltnp 'sport = :{port}'")
        assert system.check_ports(tcp, running=True) == ok("ports", "taken by this graph, which is running")
        assert system.check_ports(plan(node("a")), running=False) is None

    def test_free_ports(self, port: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = free.getsockname()[1]
        found = system.check_ports(plan(node("a"), endpoint=f"tcp://127.0.0.1:{number}"), running=False)
        assert found is not None
        assert found.verdict == "ok"

    def test_programs(self, tmp_path: Path) -> None:
        gone = node("gone", command=("./no-such-program",))
        [found] = system.check_programs([gone, node("class")])
        assert (found.check, found.verdict) == ("program gone", "problem")
        (tmp_path / "package.json").write_text('{"dependencies": {"zeromq": "6"}}')
        script = node("js", command=(sys.executable, str(tmp_path / "x.mjs")))
        [found] = system.check_programs([script])
        assert found.do == f"npm install --prefix {tmp_path}"
        (tmp_path / "node_modules").mkdir()
        assert [f.verdict for f in system.check_programs([script])] == ["ok"]


class TestFolders:
    @pytest.fixture(autouse=True)
    def base(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        return tmp_path / "vg"

    def test_the_run_folder(self, base: Path) -> None:
        assert folders.check_run_folder(None) == ok("run folder", str(base))
        base.chmod(0o755)
        assert folders.check_run_folder(None).do == f"chmod 700 {base}"

    def test_a_path_that_is_too_long_for_a_socket(self) -> None:
        found = folders.check_run_folder(plan(node("a"), endpoint=f"ipc://{{run}}/{'a' * 107}.out"))
        assert (found.verdict, found.do) == ("problem", "export XDG_RUNTIME_DIR=/run/user/$(id -u)")
        assert "longer than 107 bytes" in found.text

    def test_logs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert folders.check_logs(plan(node("a"))).verdict == "ok"
        monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: Disk(10, 9, 1))
        assert folders.check_logs(plan(node("a"))).verdict == "warning"
        monkeypatch.setattr(folders.os, "access", lambda *_: False)
        assert folders.check_logs(plan(node("a"))).do == "export XDG_STATE_HOME=$HOME/.local/state"

    def test_what_a_killed_run_has_left(self, base: Path, tmp_path: Path) -> None:
        base.mkdir()
        assert list(folders.check_left()) == [ok("left over", "nothing of killed runs")]
        (base / "dead").mkdir()
        (base / "dead" / LOCK).write_text("999999999")
        (tmp_path / "elsewhere").mkdir()
        (base / "dead" / RINGS).symlink_to(tmp_path / "elsewhere")
        assert [f.verdict for f in folders.check_left()] == ["ok"], "it may be one that is just starting"
        [found] = folders.check_left(now_s=(base / "dead").stat().st_mtime + 11)
        assert found.do == f"rm -rf {tmp_path}/elsewhere {base}/dead"
        subprocess.run(found.do, shell=True, check=True)
        assert list(base.iterdir()) == []

    def test_a_running_graph_is_left_alone_and_an_orphaned_one_told(self, base: Path) -> None:
        of = plan(node("a"))
        directory = RunDir.of(of)
        held = directory.lock()
        later_s = directory.path.stat().st_mtime + 100
        assert [f.verdict for f in folders.check_left(now_s=later_s)] == ["ok"]
        directory.write_plan(of)
        directory.register("a", os.getpid())
        fcntl.flock(held, fcntl.LOCK_UN)
        os.close(held)
        assert process_of(os.getpid()) is not None
        found = next(iter(folders.check_left(now_s=later_s)))
        assert found.text == "the supervisor of 'one' was killed, 1 of its processes live"
        assert found.do == "graph run one.yaml takes over, graph stop one ends it"
