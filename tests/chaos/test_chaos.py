"""Any process of a graph may be killed, stopped or break, at any time, the supervisor too, while its nodes are changed.

`make chaos` does so 200 times, `make test` a few; VOICEGRAPH_CHAOS and VOICEGRAPH_SEED say how often, and with which chances.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from graph.commands import Apply, CommandClient, CommandError, Scale
from graph.load import load_plan
from tests.system.graphs import ROOT, GraphRun, eventually, graph_run

EVENTS = int(os.environ.get("VOICEGRAPH_CHAOS", "25"))
SEED = int(os.environ.get("VOICEGRAPH_SEED", "4"))
SCALED = 0.1  # of the events come with a change of replicas
SWAPPED = 0.1  # as many with another version of a node
REWIRED = 0.08  # and of these with a node that comes, or goes
MIXED = (signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1)  # SIGUSR1: exit(1)

GRAPH = """\
name: chaos
drain_within: 60s
nodes:
  src: {{use: "tests.chaos.actors:Replay", {restart}}}
  mid: {{use: "tests.chaos.actors:Pass", in: {{x: {{from: src.out, {sure}}}}}, replicas: 2, with: {{version: 0}}, {restart}}}
  end: {{use: "tests.chaos.actors:Ledger", in: {{x: {{from: mid.out, {sure}}}}}, with: {{file: "{file}"}}, {restart}}}
  tick: {{use: "tests.chaos.actors:Tick", {restart}}}
  relay: {{use: "tests.chaos.actors:Pass", in: {{x: tick.out}}, with: {{version: 0}}, {restart}}}
  ears: {{use: "tests.chaos.actors:Hear", in: {{x: relay.out}}, replicas: 2, {restart}}}
"""
SPY = '  spy: {use: "tests.chaos.actors:Hear", in: {x: relay.out}, restart: {policy: always, max: 10000, within: 60s}}\n'


class Chaos:
    """Does to the processes of a run what can happen to them; a supervisor that was killed is succeeded by another."""

    def __init__(self, run: GraphRun) -> None:
        self.run = run
        self.supervisor = run.process
        self.done: Counter[str] = Counter()
        self.seen = "nobody answers"
        self._chance = random.Random(SEED)
        self._stopped: list[tuple[float, psutil.Process]] = []

    def event(self) -> None:
        """One misfortune of one process, and a short while to live with it."""
        victims = {**self.run.workers(), "supervisor": psutil.Process(self.supervisor.pid)}
        victims.update(("nursery", one) for one in self.run.nurseries())
        change = self._chance.random()
        if change < SWAPPED:
            self.swap(self._chance.choice(("mid", "relay")))
        elif change < SWAPPED + SCALED:
            self.scale(self._chance.choice(("mid", "relay", "ears")), self._chance.randint(1, 3))
        elif change < SWAPPED + SCALED + REWIRED:
            self.rewire()
        name = self._chance.choice(sorted(victims))
        how = self._chance.choice(MIXED)
        if name in ("supervisor", "nursery") and how == signal.SIGUSR1:
            how = signal.SIGKILL
        with suppress(psutil.NoSuchProcess):
            victims[name].send_signal(how)
            self.done[how.name] += 1
            if how == signal.SIGSTOP:
                self._stopped.append((time.monotonic() + self._chance.uniform(0.1, 1.5), victims[name]))
        if name == "supervisor" and how == signal.SIGKILL:
            self.succeed()
        time.sleep(self._chance.uniform(0.05, 0.4))
        self.wake(time.monotonic())

    def scale(self, node: str, replicas: int) -> None:
        """`graph scale`, without waiting; refused while another change is under way, or nobody is there to hear it."""
        with suppress(CommandError), CommandClient(self.folder, answer_within_s=1) as client:
            client.ask(Scale(node, replicas))
            self.done["scaled"] += 1

    def swap(self, node: str) -> None:
        """Another version of a node."""
        file = self.run.folder / "graph.yaml"
        lines = file.read_text().splitlines()
        at = next(k for k, line in enumerate(lines) if line.startswith(f"  {node}:"))
        lines[at] = re.sub(r"version: \d+", lambda found: f"version: {int(found[0].split()[1]) + 1}", lines[at])
        self.save("\n".join(lines) + "\n", "swapped")

    def rewire(self) -> None:
        """Another listener comes, or goes."""
        text = (self.run.folder / "graph.yaml").read_text()
        self.save(text.replace(SPY, "") if SPY in text else text + SPY, "rewired")

    def save(self, text: str, what: str) -> None:
        """`graph apply`, without waiting. Refused or not, the file says so: whoever succeeds the supervisor makes it true."""
        file = self.run.folder / "graph.yaml"
        file.write_text(text)
        with suppress(CommandError), CommandClient(self.folder, answer_within_s=1) as client:
            client.ask(Apply(load_plan(file)))
            self.done[what] += 1

    @property
    def folder(self) -> Path:
        """Of the run."""
        return next((one for one in (self.run.runtime / "vg").iterdir() if one.is_dir()), self.run.runtime / "vg" / "none")

    def whole(self) -> bool:
        """True when everybody that belongs to the graph is there, and nothing is being changed."""
        with suppress(CommandError), CommandClient(self.folder, answer_within_s=1) as client:
            status = client.status()
            self.seen = f"{status.change} {[(one.instance, one.health) for one in status.instances]}"
            here = {one.instance for one in status.instances if one.health in ("ready", "busy")}
            return not status.changing and here == {one.instance for one in status.instances} == set(self.run.workers())
        return False

    def settle(self) -> None:
        """Wait until it is whole."""
        try:
            eventually(self.whole, "everybody is there")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.seen}\n{self.run.stderr[-3000:]}") from None

    def succeed(self) -> None:
        """`graph run` on the same file again."""
        self.supervisor.wait()
        time.sleep(self._chance.uniform(0, 0.5))
        command = [sys.executable, "-m", "graph.cli", "run", str(self.run.folder / "graph.yaml")]
        command += ["--report", str(self.run.folder / "report.json")]
        environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.run.runtime),
            "XDG_STATE_HOME": str(self.run.folder / "state"),
        }
        with (self.run.folder / "stderr.txt").open("a") as err:
            self.supervisor = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=err, stderr=err, text=True)

    def wake(self, now_s: float) -> None:
        """Let those go on that were stopped long enough."""
        for due_s, process in list(self._stopped):
            if now_s >= due_s:
                self._stopped.remove((due_s, process))
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)

    def memory(self) -> float:
        """Unshared bytes of a node process, on average: how many there are may change."""
        found = []
        for process in self.run.workers().values():
            with suppress(psutil.Error):
                found.append(process.memory_full_info().uss)
        return sum(found) / len(found)


@contextmanager
def chaos(run: GraphRun) -> Iterator[Chaos]:
    made = Chaos(run)
    try:
        yield made
    finally:
        made.wake(float("inf"))
        if made.supervisor.poll() is None:
            made.supervisor.kill()
            made.supervisor.wait()


def set_aside(folder: Path) -> set[int]:
    """Those that chance has made look as if they killed whoever took them."""
    letters = (line for file in folder.rglob("dead-letters/*/*.jsonl") for line in file.read_text().splitlines())
    return {json.loads(line)["header"]["body"]["n"] for line in letters}


def numbers(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.mark.timeout(900)
def test_whatever_dies_nothing_is_lost_uncounted_or_left_behind(tmp_path: Path) -> None:
    file = tmp_path / "ledger.txt"
    restart = "restart: {policy: always, max: 10000, within: 60s, backoff: 10ms..100ms}"
    text = GRAPH.format(file=file, sure="link: queue, delivery: at_least_once", restart=restart)
    with graph_run(tmp_path, text) as run, chaos(run) as them:
        run.running()
        eventually(lambda: len(numbers(file)) > 100, "messages flow")
        rings = next(run.runtime.rglob("rings")).resolve()
        memory = them.memory()
        for _ in range(EVENTS):
            them.event()
        them.wake(float("inf"))
        had = len(numbers(file))
        eventually(lambda: len(numbers(file)) > had + 500, f"messages flow again\n{run.stderr[-3000:]}")
        them.settle()
        time.sleep(1)  # who died just now has been seen to: a source that dies while the graph drains is not started again
        them.settle()
        grown = them.memory() - memory
        them.supervisor.send_signal(signal.SIGINT)
        assert them.supervisor.wait(timeout=120) == 0, run.stderr[-3000:]
        found = numbers(file)
        twice = len(found) - len(set(found))
        print(f"\n{dict(them.done)}, {len(found)} effects, {twice} of them twice, {grown / 1e6:+.1f} MB each")
        aside = set_aside(tmp_path / "state")
        assert set(found) | aside == set(range(max(found) + 1)), "nothing is lost"
        streams = [edge["edge"] for edge in run.report["edges"] if edge["link"] == "stream"]
        assert streams[:2] == ["tick.out->relay.x", "relay.out->ears.x"]
        for name in streams:
            edge = run.edge(name)
            assert edge["sent"] == edge["delivered"] + edge["dropped"] + edge["stale"] + edge["rejected"], edge
        assert grown < 8e6, "memory is flat"
        run.all_gone()
        assert not rings.exists(), "no block is left in shared memory"
