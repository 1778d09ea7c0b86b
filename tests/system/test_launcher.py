"""The launcher and its nursery with real processes: who is whose child, how each ended, and what its resources made of it."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import psutil
import pytest

from graph.epoch import Epoch
from graph.errors import NodeError
from graph.launchers.local import LocalLauncher
from graph.launchers.nursery import KIND
from graph.launchers.requests import Refused, SpawnChild, encode, from_nursery
from graph.launchers.resources import THREAD_VARIABLES
from graph.plan import Instance, Plan, PlannedNode, Resources
from graph.rundir import RunDir

from .graphs import ROOT, eventually, graph_run, interrupt, short_folder

LISTENER = "tests.system.light:Listener"
UNSHARED_MAX = 5.5 * 2**20  # bytes of a light node; 4.7 to 4.9 MB when this was written, 5.8 before, 7.9 at first


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def sleeper(name: str, **changes: Any) -> PlannedNode:
    return node(name, command=program("import time; time.sleep(600)"), **changes)


def node(name: str, **changes: Any) -> PlannedNode:
    values: dict[str, Any] = {"use": LISTENER, "target": LISTENER, "config": {}, "instances": (name,), **changes}
    return PlannedNode(name=name, **values)


class Bench:
    """A run's folder and its launchers, without a supervisor."""

    def __init__(self, folder: Path, *nodes: PlannedNode) -> None:
        instances = tuple(Instance(n.name, n.name, out=f"ipc://{{run}}/{n.name}.out") for n in nodes)
        self.plan = Plan("bench", str(folder / "graph.yaml"), nodes, instances, (), orphan_after_s=600)
        self.run = RunDir(folder / "run")
        self.run.path.mkdir(mode=0o700)
        self.run.write_plan(self.plan)
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.launcher = self.another()

    def another(self) -> LocalLauncher:
        """A launcher as the next supervisor would have it."""
        return LocalLauncher(Epoch(0, self.plan), self.run, self.logs)

    def log(self, name: str) -> str:
        return self.launcher.log(name).read_text()

    @property
    def nursery(self) -> int:
        return self.launcher._nursery.pid


@contextmanager
def bench(*nodes: PlannedNode) -> Iterator[Bench]:
    """At the end nothing of it may be left."""
    with short_folder() as folder:
        made = Bench(folder, *nodes)
        try:
            yield made
        finally:
            made.launcher.close()
            scratch, rings = (made.run.path / "scratch").resolve(), made.run.rings.resolve()
            left = [p.cmdline() for p in processes() if str(folder) in " ".join(p.cmdline())]
            if made.run.path.exists():
                made.run.remove()
        assert not left
        assert not scratch.exists()
        assert not rings.exists()


def processes() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                process.cmdline()
                yield process


def ends(launcher: LocalLauncher) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = eventually(lambda: list(launcher.exits()), "a process ends")
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 34)", -34),
    ],
)
def test_how_a_process_ends_is_known(code: str, expected: int) -> None:
    with bench(node("one", command=program(code))) as made:
        made.launcher.spawn("one", 3)
        assert ends(made.launcher) == [("one", expected)]
        assert made.run.exit_file("one", 3).read_text() == str(expected)


def test_the_next_supervisor_knows_it_too() -> None:
    with bench(sleeper("one"), node("two")) as made:
        pids = {name: made.launcher.spawn(name, 0) for name in ("one", "two")}
        first, made.launcher = made.launcher, made.another()
        alive = made.run.alive()
        assert {name: process.pid for name, process in alive.items()} == pids
        for name, process in alive.items():
            made.launcher.adopt(name, process)
        first._nursery._process = None  # it was killed: it neither reaps nor asks any more
        assert first._nursery._connection is not None
        first._nursery._connection.close()
        assert list(made.launcher.exits()) == []
        made.launcher.kill("one", signal.SIGTERM)
        assert ends(made.launcher) == [("one", -signal.SIGTERM)]
        made.launcher.kill("two", signal.SIGKILL)
        assert ends(made.launcher) == [("two", -signal.SIGKILL)]
        assert made.launcher.spawn("one", 1) > 0, "by the same nursery"
        assert psutil.Process(made.run.alive()["one"].pid).ppid() == made.nursery


def test_a_killed_nursery_takes_nobody_along_and_the_next_spawn_makes_a_new_one() -> None:
    with bench(sleeper("one"), node("two"), node("three")) as made:
        pids = {name: made.launcher.spawn(name, 0) for name in ("one", "two")}
        killed = psutil.Process(made.nursery)
        killed.kill()
        assert made.launcher.spawn("three", 0) > 0
        assert made.nursery != killed.pid
        assert {name: p.pid for name, p in made.run.alive().items() if name in pids} == pids
        made.launcher.kill("one", signal.SIGKILL)
        assert ends(made.launcher) == [("one", None)], "its parent is gone, so nobody knows"
        made.launcher.kill("three", signal.SIGKILL)
        assert ends(made.launcher) == [("three", -signal.SIGKILL)]


def test_a_nursery_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.launchers.asking.ANSWER_WITHIN_S", 0.5)
    with bench(sleeper("one"), sleeper("two")) as made:
        made.launcher.spawn("one", 0)
        hung = made.nursery
        os.kill(hung, signal.SIGSTOP)
        monkeypatch.setattr("graph.launchers.asking.ANSWER_WITHIN_S", 20)
        assert made.launcher.spawn("two", 0) > 0
        assert made.nursery != hung
        assert set(made.run.alive()) == {"one", "two"}


def test_what_a_process_has_started_itself_ends_with_it() -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    with bench(node("one", command=program(code))) as made:
        made.launcher.spawn("one", 0)
        assert ends(made.launcher) == [("one", 0)]
        eventually(lambda: not psutil.pid_exists(int(made.log("one"))) or _zombie(int(made.log("one"))), "it is gone")


def _zombie(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_forked_nodes_share_no_environment_and_no_descriptor() -> None:
    show = "tests.system.probe:Show"
    with bench(node("one", target=show, config={"key": "A"}), node("two", target=show, config={"key": "B"})) as made:
        for name in ("one", "two"):
            made.launcher.spawn(name, 0)
        told = [json.loads(eventually(lambda name=name: made.log(name), "it tells").splitlines()[0]) for name in ("one", "two")]
        assert [t["set"] for t in told] == [["VG_PROBE_A"], ["VG_PROBE_B"]]
        assert told[0]["random"] != told[1]["random"]
        for name, said in zip(("one", "two"), told, strict=True):
            process = psutil.Process(made.run.alive()[name].pid)
            assert process.name() == name
            assert process.cmdline()[-3:] == [str(made.run.path), name, "0"]
            assert os.getsid(process.pid) == process.pid
            assert said["tmp"] == str((made.run.path / "scratch").resolve())
            assert said["inherited"] == [], "no socket of the nursery"
            assert said["ignored"] == ["SIGINT"], "which a worker leaves to its supervisor"
        assert made.run.path.joinpath("nursery.log").read_text() == ""


RESOURCES = """
import json, os
told = {"env": dict(os.environ), "cpus": sorted(os.sched_getaffinity(0)), "nice": os.nice(0), "cwd": os.getcwd()}
print(json.dumps(told), flush=True)
"""


def told_by(resources: Resources) -> dict[str, Any]:
    with bench(node("one", command=program(RESOURCES), resources=resources)) as made:
        made.launcher.spawn("one", 0)
        assert ends(made.launcher) == [("one", 0)], made.log("one")
        told: dict[str, Any] = json.loads(made.log("one"))
        return told


def test_resources_are_what_the_process_gets(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    told = told_by(
        Resources(threads=3, cpus=(cpu,), gpus=(0, 2), nice=7, env={"MINE": "yes", "OMP_NUM_THREADS": "1"}, cwd=str(tmp_path))
    )
    variables = told["env"]
    assert {variables[name] for name in THREAD_VARIABLES if name != "OMP_NUM_THREADS"} == {"3"}
    assert (variables["OMP_NUM_THREADS"], variables["MINE"]) == ("1", "yes")
    assert variables["CUDA_VISIBLE_DEVICES"] == variables["HIP_VISIBLE_DEVICES"] == "0,2"
    assert (told["cpus"], told["nice"], told["cwd"]) == ([cpu], 7, str(tmp_path.resolve()))
    assert told_by(Resources(gpus=()))["env"]["CUDA_VISIBLE_DEVICES"] == "-1"


@pytest.mark.parametrize("threads", [None, 2])
def test_resources_of_a_class_forked_or_not(tmp_path: Path, threads: int | None) -> None:
    cpu = max(os.sched_getaffinity(0))
    resources = Resources(threads=threads, cpus=(cpu,), nice=5, cwd=str(tmp_path))
    with bench(node("one", target="tests.system.probe:Show", config={"key": "A"}, resources=resources)) as made:
        pid = made.launcher.spawn("one", 0)
        told = json.loads(eventually(lambda: made.log("one"), "it tells").splitlines()[0])
        assert (told["cwd"], told["threads"]) == (str(tmp_path.resolve()), str(threads) if threads else None)
        process = psutil.Process(pid)
        assert (process.cpu_affinity(), process.nice(), process.ppid()) == ([cpu], 5, made.nursery)
        group = Path(f"/proc/{pid}/autogroup")
        assert not group.exists() or group.read_text().endswith("nice 5\n"), "else it gives way to nobody but itself"


def _without_privileges() -> bool:
    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    return os.geteuid() != 0 and soft <= 20


@pytest.mark.parametrize("command", [program(""), ()])
@pytest.mark.parametrize(
    ("resources", "told"),
    [
        (Resources(cpus=(700,)), r"resources.cpus \[700\]: this machine has 0"),
        (Resources(cpus=(0, 700)), r"resources.cpus \[700\]: this machine has 0"),
        (Resources(cwd="/nowhere/at/all"), "resources.cwd '/nowhere/at/all': no such folder"),
        (Resources(cwd="/dev/null"), "resources.cwd '/dev/null': not a folder"),
        (Resources(env={"A=B": "x"}), "resources.env 'A=B'"),
        (Resources(env={"HUGE": "x" * 2**20}), "too long"),
        pytest.param(
            Resources(nice=-5),
            "resources.nice -5: below 0 takes privileges",
            marks=pytest.mark.skipif(not _without_privileges(), reason="may do it"),
        ),
    ],
)
def test_resources_that_cannot_be_had_are_named(resources: Resources, told: str, command: tuple[str, ...]) -> None:
    with bench(node("one", resources=resources, command=command), sleeper("two")) as made:
        with pytest.raises(NodeError, match=told):
            made.launcher.spawn("one", 0)
        assert made.launcher.spawn("two", 0) > 0, "the nursery goes on"
        assert list(made.launcher.exits()) == []


def test_a_program_that_cannot_be_executed_is_named() -> None:
    with bench(node("one", command=("/dev/null",)), node("two", command=("no-such-program-here",))) as made:
        with pytest.raises(NodeError, match="'/dev/null' cannot be executed: Permission denied"):
            made.launcher.spawn("one", 0)
        with pytest.raises(NodeError, match="'no-such-program-here' cannot be executed: No such file"):
            made.launcher.spawn("two", 0)


def test_the_fallback_runs_in_the_name_of_the_instance() -> None:
    code = "import json, os; print(open(os.environ['VOICEGRAPH_NODE']).read(), flush=True)"
    program_too = node("one", command=program(code), config={"speed": "slow"}, resources=Resources(nice=3))
    class_too = node("two", target="tests.system.probe:Show", config={"key": "fallback"})
    one = node("one", command=program("raise SystemExit(9)"), config={"speed": "fast"}, fallback=program_too)
    with bench(one, node("two", fallback=class_too)) as made:
        made.launcher.spawn("one", 0)
        assert ends(made.launcher) == [("one", 9)]
        made.launcher.spawn("one", 1, fallback=True)
        assert ends(made.launcher) == [("one", 0)]
        described = json.loads(made.log("one"))
        assert (described["instance"], described["life"], described["with"]) == ("one", 1, {"speed": "slow"})
        assert described["bind"]["out"].endswith("one.out")
        assert made.run.registered()["one"].fallback
        made.launcher.spawn("two", 4, fallback=True)
        assert "VG_PROBE_fallback" in eventually(lambda: made.log("two"), "it tells")


def packets() -> list[tuple[str, Callable[[], bytes], int]]:
    good = SpawnChild("other", 0, (), {})
    return [
        ("noise", lambda: b"\xff\x00garbage" * 40, 0),
        ("too long", lambda: b"\x00" * (2**17 + 5000), 0),
        ("no descriptors", lambda: encode(good), 0),
        ("three descriptors", lambda: encode(good), 3),
        ("more than it takes", lambda: encode(good), 60),
        ("outside the folder", lambda: encode(msgspec.structs.replace(good, instance="../../one")), 2),
        ("no name", lambda: encode(msgspec.structs.replace(good, instance="")), 2),
        ("a name with a zero", lambda: encode(msgspec.structs.replace(good, instance="a\0b")), 2),
        ("before its first life", lambda: encode(msgspec.structs.replace(good, life=-1)), 2),
        ("another type", lambda: msgspec.msgpack.encode({"type": "spawn", "instance": 5}), 2),
        ("a zero in a variable", lambda: encode(msgspec.structs.replace(good, environment={"A": "\0"}, command=("true",))), 2),
        ("a zero in a command", lambda: encode(msgspec.structs.replace(good, command=("a\0",))), 2),
        ("an impossible processor", lambda: encode(msgspec.structs.replace(good, cpus=(-1, 2**60))), 2),
        ("nested too deep", lambda: b"\x91" * 100_000, 2),
    ]


def test_hostile_bytes_change_nothing() -> None:
    with bench(sleeper("one")) as made:
        made.launcher.spawn("one", 0)
        nursery, before = psutil.Process(made.nursery), set(made.run.path.iterdir())
        open_before = nursery.num_fds()
        for what, packet, descriptors in packets():
            with socket.socket(socket.AF_UNIX, KIND) as sender, Path(os.devnull).open("wb") as null:
                sender.settimeout(20)
                sender.connect(str(made.run.nursery))
                socket.send_fds(sender, [packet()], [null.fileno()] * descriptors)
                assert isinstance(from_nursery.decode(sender.recv(2**17)), Refused), what
        with socket.socket(socket.AF_UNIX, KIND) as deaf:  # asks and asks, and takes no answer
            deaf.connect(str(made.run.nursery))
            deaf.settimeout(1)
            with suppress(OSError):
                for _ in range(5000):
                    deaf.send(b"\xff")
        eventually(lambda: nursery.num_fds() <= open_before, "no descriptor is left open")
        assert nursery.children() == [psutil.Process(made.run.alive()["one"].pid)]
        assert {p for p in made.run.path.iterdir() if not p.name.startswith("other.")} == before
        assert set(made.run.alive()) == {"one"}
        assert list(made.launcher.exits()) == []


def test_a_nursery_without_supervisor_and_children_goes_and_takes_the_folder_along() -> None:
    with bench(sleeper("one")) as made:
        pid = made.launcher.spawn("one", 0)
        os.close(made.run.lock())
        nursery = psutil.Process(made.nursery)
        for one in (signal.SIGINT, signal.SIGHUP):
            nursery.send_signal(one)
        connection = made.launcher._nursery._connection
        assert connection is not None
        connection.close()
        made.launcher._nursery._connection = None
        assert nursery.is_running()
        os.utime(made.run.path / "file.msgpack", (0, 0))  # no supervisor has lived for long: nobody will take this over
        os.kill(pid, signal.SIGKILL)
        nursery.wait(60)
        assert not made.run.path.exists()
        made.launcher._nursery._process = None


def test_a_nursery_goes_with_its_folder() -> None:
    with bench(node("one")) as made:
        made.launcher.spawn("one", 0)
        nursery = psutil.Process(made.nursery)
        made.launcher.close()
        assert not nursery.is_running()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        run = RunDir(Path(folder) / "run")
        run.path.mkdir()
        process = subprocess.Popen([sys.executable, "-P", "-m", "graph.launchers.nursery", str(run.path)], cwd=ROOT)
        try:
            eventually(run.nursery.exists, "it takes connections")
            with socket.socket(socket.AF_UNIX, KIND) as connection:
                connection.connect(str(run.nursery))
                run.remove()
                assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()


def test_two_hundred_nodes_are_children_of_the_nursery(tmp_path: Path) -> None:
    nodes = "".join(f'  n{i}: {{use: "{LISTENER}", in: {{x: src.out}}}}\n' for i in range(199))
    text = f'name: many\nnodes:\n  src: {{use: "tests.system.light:Beacon"}}\n{nodes}'
    with graph_run(tmp_path, text) as run:
        run.running()
        workers = run.workers()
        assert len(workers) == 200
        (parent,) = {process.ppid() for process in workers.values()}
        assert parent != run.process.pid
        assert "graph.launchers.nursery" in psutil.Process(parent).cmdline()
        unshared = median(process.memory_full_info().uss for process in workers.values())
        assert unshared < UNSHARED_MAX, f"{unshared / 2**20:.1f} MB a node: more is copied after the fork than was"
        interrupt(run)
        assert run.wait() == 0, run.stderr
        assert not psutil.pid_exists(parent)
        run.all_gone()
