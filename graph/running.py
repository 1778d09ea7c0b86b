"""The graphs of this user that run: found by their folders, without asking anybody.

A folder whose lock is held has a supervisor. One whose lock is free but whose nodes live is orphaned: its supervisor was
killed, and `graph run` on the same file takes over. Any other is what a crash has left, and is passed over.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from graph.errors import VoicegraphError
from graph.plan import Plan
from graph.rundir import LOCK, NodeProcess, RunDir, base_dir, process_of
from graph.validation import did_you_mean


class NotRunning(VoicegraphError):
    """There is no graph, or no supervisor, to give an order to."""


class WrongCall(VoicegraphError):
    """The call names what there is not, or not enough to know which one is meant."""

    exit_code = 2


@dataclass(frozen=True)
class Running:
    """A graph that runs."""

    directory: RunDir
    plan: Plan
    supervisor: NodeProcess | None  # None: orphaned

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def file(self) -> str:
        """Its file: the plan has it as it was typed, in the folder where the processes are."""
        pids = [self.supervisor.pid] if self.supervisor else [p.pid for p in self.directory.alive().values()]
        for pid in pids:
            try:
                file = Path(f"/proc/{pid}/cwd").readlink() / self.plan.file
            except OSError:  # another system, or it has just gone
                continue
            if self.is_of(file):
                return str(file)
        return self.plan.file

    def is_of(self, file: Path) -> bool:
        """True when this graph is of that file: the name of its folder is made of both."""
        return RunDir.of(msgspec.structs.replace(self.plan, file=str(file))).path.name == self.directory.path.name

    @property
    def lives(self) -> bool:
        """True while its supervisor, this very process, is there."""
        return self.supervisor is not None and process_of(self.supervisor.pid) == self.supervisor

    def check_node(self, node: str) -> None:
        """:raises WrongCall: the graph has no such node."""
        names = [one.name for one in self.plan.nodes]
        if node in names:
            return
        hint = did_you_mean(node, names) or f"its nodes: {', '.join(names)}"
        if node == self.name:
            hint = f"it is the graph: graph stop -g {node}"
        raise WrongCall(f"the graph '{self.name}' has no node '{node}' ({hint})")

    def check_supervised(self) -> None:
        """:raises NotRunning: its supervisor was killed."""
        if self.supervisor is None:
            count = len(self.directory.alive())
            raise NotRunning(
                f"the supervisor of '{self.name}' was killed, {count} of its processes live on "
                f"(`graph run {self.file}` takes over, `graph stop -g {self.name}` ends them)"
            )

    def check_left(self) -> None:
        """Call when its supervisor has gone.

        :raises NotRunning: it did not end the graph, but was killed.
        """
        try:
            taken_over = owner(self.directory) is not None
        except OSError:
            return  # it has taken its folder with it
        if not taken_over and self.directory.alive():
            replace(self, supervisor=None).check_supervised()


@dataclass
class Found:
    """What a look at the folders has found."""

    graphs: list[Running] = field(default_factory=list)
    denied: list[Path] = field(default_factory=list)  # folders that may not be read


def look() -> Found:
    """Look for the running graphs of this user, by name.

    :raises NotRunning: the folder of all runs may not be read.
    """
    found = Found()
    for folder in sorted(_folders()):
        directory = RunDir(folder)
        try:
            supervisor = owner(directory)
            if supervisor is not None or directory.alive():
                found.graphs.append(Running(directory, directory.read_plan(), supervisor))
        except PermissionError:
            found.denied.append(folder)
        except (OSError, msgspec.DecodeError):
            continue  # it is just coming or going, or is of another version
    found.graphs.sort(key=lambda graph: (graph.name, graph.plan.file))
    return found


def _folders() -> list[Path]:
    try:
        return [one for one in base_dir().iterdir() if one.is_dir()]
    except OSError as error:
        raise NotRunning(f"{error.filename}: {error.strerror} (set XDG_RUNTIME_DIR to a folder of your own)") from error


def owner(directory: RunDir) -> NodeProcess | None:
    """The supervisor that holds the lock of a folder; None when nobody does.

    :raises OSError: the lock cannot be read, or is not there.
    """
    held = os.open(directory.path / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(held, 20).decode()
        process = process_of(int(text)) if text.isdigit() else None
        if process is None:
            return None  # not even asked for, so that nobody who takes it just now finds it taken
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return process
        return None  # the number was given to somebody else since
    finally:
        os.close(held)


def pick(wanted: str | None) -> Running:
    """The graph that is meant: by its name or its file, or the only one there is.

    :raises NotRunning: there is none.
    :raises WrongCall: there is no such one, or several.
    """
    found = look()
    return choose(found, wanted)


def choose(found: Found, wanted: str | None) -> Running:
    """Which of the graphs that were found is meant; raises as `pick` does."""
    if not found.graphs:
        if found.denied:
            raise NotRunning(f"cannot look into {found.denied[0]}: permission denied (whoever started the graph may)")
        raise NotRunning("no graph is running (start one: graph run -d FILE)")
    if wanted is None:
        if len(found.graphs) == 1:
            return found.graphs[0]
        raise WrongCall(f"several graphs are running: {_listed(found.graphs)} (name one of them)")
    named = [g for g in found.graphs if g.name == wanted] or [g for g in found.graphs if g.is_of(Path(wanted))]
    if len(named) == 1:
        return named[0]
    if named:
        files = ", ".join(g.file for g in named)
        raise WrongCall(f"{len(named)} graphs named '{wanted}' are running (name one by its file: {files})")
    hint = did_you_mean(wanted, (g.name for g in found.graphs)) or f"running: {_listed(found.graphs)}"
    raise WrongCall(f"no graph '{wanted}' is running ({hint})")


def _listed(graphs: Iterable[Running]) -> str:
    return ", ".join(_unique(g.name for g in graphs))


def _unique(names: Iterable[str]) -> Iterator[str]:
    yield from dict.fromkeys(names)
