"""Run real graphs as a user does, and see that nothing of them stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60  # until a test gives a condition up; never what a test measures


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition to hold."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


@dataclass
class GraphRun:
    """One `graph run` in a folder of its own, with a runtime folder of its own."""

    folder: Path
    runtime: Path
    process: subprocess.Popen[str]
    seen: set[int] = field(default_factory=set)

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return found

    def edge(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(e for e in self.report["edges"] if e["edge"] == name)
        return found

    def workers(self) -> dict[str, psutil.Process]:
        """The node processes of this run that live, by instance."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = process.cmdline()
                if "graph.worker" not in line or process.status() == "zombie":
                    continue
                folder, instance = line[line.index("graph.worker") + 1 :][:2]
                if folder.startswith(str(self.runtime)):
                    found[instance] = process
                    self.seen.add(process.pid)
        return found

    def programs(self) -> dict[str, psutil.Process]:
        """The programs of this run (`exec:`) that live, by instance."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                told = process.environ().get("VOICEGRAPH_NODE", "")
                if told.startswith(str(self.runtime)) and process.status() != "zombie":
                    found[Path(told).name.removesuffix(".node.json")] = process
        return found

    def nurseries(self) -> list[psutil.Process]:
        """The processes that nodes are children of: one, or more where one was killed."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = process.cmdline()
                if "graph.launchers.nursery" in line and line[-1].startswith(str(self.runtime)):
                    found.append(process)
        return found

    def running(self) -> None:
        """Wait until the graph says it runs."""
        eventually(lambda: "running" in self.stderr or self.process.poll() is not None, "the graph runs")
        assert self.process.poll() is None, self.stderr
        self.workers()

    def wait(self) -> int:
        """The exit code of `graph run`."""
        return self.process.wait(timeout=PATIENCE_S * 3)

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr.txt").read_text()

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout.txt").read_text()

    def all_gone(self) -> None:
        """Wait until no process, socket or folder of the run is left."""
        eventually(
            lambda: not self.workers() and not self.programs(),
            f"all node processes are gone: {[p.cmdline() for p in self.workers().values()]}",
        )
        eventually(lambda: not any(self.runtime.rglob("*.*")), f"sockets are gone: {list(self.runtime.rglob('*'))}")
        assert [p for p in self.runtime.rglob("*") if p.name != "vg"] == []


@contextmanager
def graph_run(folder: Path, file: Path | str, *arguments: str, **environment: str) -> Iterator[GraphRun]:
    """Start `graph run`; at the end everything it started is ended, and it is an error if it had to be."""
    if isinstance(file, str):
        (folder / "graph.yaml").write_text(file)
        file = folder / "graph.yaml"
    # Short, because a socket path may be 107 bytes long and pytest's folders are not short.
    with short_folder() as runtime:
        command = [sys.executable, "-m", "graph.cli", "run", str(file), "--report", str(folder / "report.json"), *arguments]
        inherited = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(folder / "state"), **environment}
        with (folder / "stdout.txt").open("w") as out, (folder / "stderr.txt").open("w") as err:
            process = subprocess.Popen(command, cwd=ROOT, env=inherited, stdout=out, stderr=err, text=True)
        run = GraphRun(folder, runtime, process)
        try:
            yield run
        finally:
            for one in [*run.workers().values(), *run.programs().values(), *run.nurseries()]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            if process.poll() is None:
                process.kill()
                process.wait()
            _tidy(runtime)


def _tidy(runtime: Path) -> None:
    """Remove what a graph that had to be killed has elsewhere."""
    with suppress(FileNotFoundError):  # its nursery is just removing it
        for name in ("rings", "scratch"):
            for link in list(runtime.rglob(name)):
                shutil.rmtree(link.resolve(), ignore_errors=True)


@contextmanager
def background() -> Iterator[Path]:
    """A runtime folder for graphs that run in the background; whatever still runs in it at the end is killed."""
    with short_folder() as runtime:
        try:
            yield runtime
        finally:
            while left := _all_of(runtime):  # again: one may just have started another
                for process in left:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                psutil.wait_procs(left, timeout=PATIENCE_S)
            _tidy(runtime)


def _all_of(runtime: Path) -> list[psutil.Process]:
    """Every process that was told to use a runtime folder: supervisors, nurseries, nodes."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("XDG_RUNTIME_DIR") == str(runtime) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short path, removed afterwards."""
    made = Path(tempfile.mkdtemp(prefix="vgt-", dir="/tmp"))
    try:
        yield made
    finally:  # whoever is just ending may still write its last word there
        eventually(lambda: shutil.rmtree(made, ignore_errors=True) or not made.exists(), f"{made} is gone")


def interrupt(run: GraphRun) -> None:
    """What Ctrl-C does to `graph run`."""
    run.process.send_signal(signal.SIGINT)
