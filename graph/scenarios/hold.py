"""Holds a scenario: runs its graph as `graph run` does, does to it what the script says, and judges what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import IO, Any

import msgspec
from ruamel.yaml import YAML

from graph.commands import Apply, CommandClient, CommandError, Stop
from graph.errors import Problem
from graph.load import read_tree
from graph.plan import Plan
from graph.planning import build
from graph.registry import Registry
from graph.rundir import RunDir
from graph.scenarios.derive import Held, derive, swapped
from graph.scenarios.judge import Difference, judge
from graph.scenarios.recording import as_text, recording
from graph.scenarios.steps import Swap
from graph.scenarios.witnessed import Line, Seen, read_lines, seen
from graph.source import Located, Place
from graph.spec import read_spec
from graph.yaml_text import substitute

LOOK_S = 0.02
LEAVE_WITHIN_S = 30.0


@dataclass
class Result:
    """What has become of a scenario."""

    name: str
    title: str
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    @property
    def passed(self) -> bool:
        return not self.differences


@dataclass(frozen=True)
class Ready:
    """A scenario whose graph is planned: nothing is wrong with it."""

    held: Held
    plan: Plan
    tree: Located  # of the graph that is run; `${VAR}` still stand in it
    environment: Mapping[str, str]

    @property
    def file(self) -> Path:
        return self.held.folder / "graph.yaml"


def prepare(held: Held, environment: Mapping[str, str]) -> Ready:
    """Plan the graph of a scenario, and write it down.

    :raises SpecError: with every problem of the graph and of what the scenario lays over it.
    """
    graph, problems = read_tree(held.file.graph, environment)
    tree = derive(held, graph)
    ready = Ready(held, _planned(held, tree, environment, problems), tree, environment)
    held.folder.mkdir(parents=True, exist_ok=True)
    for step in (step for steps in held.file.scenario.user.values() for step in steps):
        if step.swap is not None:
            _swapped(ready, step.swap)  # what is wrong with it is told now
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    with ready.file.open("w", encoding="utf-8") as file:
        yaml.dump(tree.data, file)
    return ready


def _planned(held: Held, tree: Located, environment: Mapping[str, str], problems: Sequence[Problem] = ()) -> Plan:
    tree, unset = substitute(tree, environment)
    return build(read_spec(tree, str(held.file.graph), [*problems, *unset]), Registry.installed())


def _swapped(ready: Ready, swap: Mapping[str, Swap]) -> Plan:
    return _planned(ready.held, swapped(ready.held, ready.tree, swap), ready.environment)


def hold(ready: Ready, stopped: Event) -> Result:
    """Hold a scenario and judge it. What it writes, its logs too, is in its folder.

    :param stopped: once it is set, the graph is ended at once.
    """
    scenario, began_s = ready.held.file.scenario, time.monotonic()
    result = Result(ready.held.file.name, scenario.title)
    with _running(ready) as process:
        holding = _Holding(ready, process, stopped)
        holding.to_the_end()
    lines = _lines(ready.held.witnessed)
    result.seen = seen(lines)
    judged = judge(ready.held.file, result.seen, ready.held.real)
    result.differences = [*holding.differences, *judged, *_after(ready, process)]
    result.seconds = time.monotonic() - began_s
    if ready.held.record and result.passed:
        ready.held.file.recording.write_text(as_text(recording(lines)), encoding="utf-8")
    return result


class _Holding:
    """One that is under way."""

    def __init__(self, ready: Ready, process: subprocess.Popen[bytes], stopped: Event) -> None:
        self.differences: list[Difference] = []
        self._ready = ready
        self._process = process
        self._run = RunDir.of(_as_run(ready))
        self._stopped = stopped
        self._done = 0  # lines

    def to_the_end(self) -> None:
        until_s = time.monotonic() + self._ready.held.longest_s
        over = False
        while self._process.poll() is None and not over and time.monotonic() < until_s:
            if self._stopped.wait(LOOK_S):
                self._process.terminate()
                return
            lines = _lines(self._ready.held.witnessed)
            for line in lines[self._done :]:
                if line["what"] == "cue" and line["name"] == "order":
                    self._order(line)
                over |= line["what"] == "cue" and line["name"] == "over"
            self._done = len(lines)
        if self._process.poll() is None:
            self._end()

    def _order(self, cue: Line) -> None:
        session, number = cue["session"], cue["step"]
        step = self._ready.held.file.scenario.user[session][number]
        path = ("user", session, number)
        if step.kill is not None:
            process = self._run.alive().get(step.kill)
            if process is None:
                self._wrong(path, f"no process of '{step.kill}' lives")
            else:
                os.kill(process.pid, signal.SIGKILL)
        elif step.swap is not None:
            try:
                with CommandClient(self._run.path) as client:
                    client.ask(Apply(_as_run(self._ready, _swapped(self._ready, step.swap))))
            except CommandError as error:
                self._wrong(path, str(error))

    def _end(self) -> None:
        """Drain the graph, once what was ordered is done."""
        until_s = time.monotonic() + LEAVE_WITHIN_S
        with suppress(CommandError), CommandClient(self._run.path) as client:
            while (status := client.status()).changing and time.monotonic() < until_s:
                time.sleep(LOOK_S)
            if status.change is not None and (status.change.error or status.changing):
                self._wrong(("user",), f"{status.change.text}: not done: {status.change.error or 'it takes too long'}")
            client.ask(Stop())

    def _wrong(self, path: tuple[str | int, ...], text: str) -> None:
        said = self._ready.held.file.tree.at(path)
        self.differences.append(Difference(said.place, text))


@contextmanager
def _running(ready: Ready) -> Iterator[subprocess.Popen[bytes]]:
    """`graph run`; at the end it has left, one way or another."""
    folder = ready.held.folder
    command = [sys.executable, "-m", "graph.cli", "run", str(ready.file), "--no-pull", "--report", str(folder / "report.json")]
    ready.held.witnessed.unlink(missing_ok=True)
    with (folder / "output.txt").open("wb") as output:
        process = _started(command, folder, output)
        try:
            yield process
            _wait(process, LEAVE_WITHIN_S)
        finally:
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
                if process.poll() is None:
                    process.send_signal(number)
                    _wait(process, LEAVE_WITHIN_S / 3)


def _started(command: list[str], folder: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    # in a session of its own: Ctrl-C at the terminal is for us, and we see to it
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _as_run(ready: Ready, plan: Plan | None = None) -> Plan:
    """A plan under the name of the file that is run."""
    return msgspec.structs.replace(plan or ready.plan, file=str(ready.file))


def _lines(file: Path) -> list[Line]:
    with suppress(FileNotFoundError):
        return read_lines(file.read_text(encoding="utf-8"))
    return []


def _after(ready: Ready, process: subprocess.Popen[bytes]) -> Iterator[Difference]:
    """What the run itself tells: did it end as it should, and has anybody died?"""
    file, scenario = ready.held.file, ready.held.file.scenario
    output = (ready.held.folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    if process.returncode != 0:
        told = "".join(f"\n  {line}" for line in output.splitlines() if line.startswith("error"))
        yield Difference(Place(str(file.path)), f"the graph ended with exit code {process.returncode}{told}")
        return
    killed = {step.kill for steps in scenario.user.values() for step in steps if step.kill}
    report: dict[str, Any] = json.loads((ready.held.folder / "report.json").read_text(encoding="utf-8"))
    place = file.tree.at(("expect", "restarts"))
    died = {node["node"] for node in report["nodes"] if node["restarts"] and node["instance"] not in killed}
    for node in sorted(died - set(scenario.expect.restarts)):
        yield Difference(place.key or place.place, f"'{node}' has died")
    for node in sorted(set(scenario.expect.restarts) - died):
        yield Difference(place.key or place.place, f"'{node}' should have died, and has not")
