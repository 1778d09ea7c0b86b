"""`graph run -d`: the same run in the background."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from graph.plan import Plan
    from graph.status import GraphStatus

BY_SIGNAL = 128  # plus its number: the exit code, as shells report it
LOOK_S = 0.1
ANSWER_WITHIN_S = 1.0


def detach(plan: Plan, file: Path, overlays: list[str], report: Path | None, quiet: bool, as_json: bool, watch: bool) -> None:
    """Start `graph run` in a session of its own, and wait until the graph runs. Ctrl-C and SIGTERM end only the waiting.

    :raises typer.Exit: it ended before it ran, with its own exit code; what it said is shown. Or the waiting was ended.
    :raises VoicegraphError: it is running already, or there is no place for its output.
    """
    from rich.console import Console

    from graph.log_places import begin_output
    from graph.rundir import RunDir, running_already
    from graph.running import owner

    directory = RunDir.of(plan)
    with contextlib.suppress(OSError):  # no folder yet: the usual case
        other = owner(directory)
        if other is not None:
            raise running_already(other.pid)  # before its output is emptied
    said = begin_output(plan)
    options = [one for overlay in overlays for one in ("-o", overlay)]
    options += ["--report", str(report)] if report is not None else []
    options += ["-q"] if quiet else []
    options += ["--watch"] if watch else []
    console = Console(stderr=True, highlight=False)
    with _signals() as caught, console.status("starting") as shown:
        with said.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "graph.cli", "run", str(file), "--no-pull", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        status = None
        while status is None or status.phase in ("starting", "leaving", "done"):  # the last two: it will end, and tell
            if process.poll() is not None:
                typer.echo(said.read_text(), err=True, nl=False)
                raise typer.Exit(process.returncode)
            if caught:
                typer.echo(f"'{plan.name}' goes on starting (process {process.pid}); what it says: {said}", err=True)
                typer.echo(f"end it with: graph stop -g {plan.name}", err=True)
                raise typer.Exit(BY_SIGNAL + caught[0])
            time.sleep(LOOK_S)
            status = _status(directory.path, process.pid)
            shown.update(f"starting: {_busy(status)}")
    if as_json:
        folders = {"run_folder": status.run_folder, "log_folder": status.log_folder, "output": str(said)}
        typer.echo(json.dumps({"graph": plan.name, "file": status.file, "pid": process.pid, **folders}, indent=2))
        return
    if not quiet:
        name = plan.name
        typer.echo(f"'{name}' is running (process {process.pid}); what it says: {said}")
        typer.echo(f"go on with: graph status {name}, graph logs {name}, graph stop -g {name}")


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM are noted, not obeyed: one that comes while the process is being made must not lose it."""
    caught: list[int] = []
    before = {s: signal.signal(s, lambda number, _: caught.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(run: Path, pid: int) -> GraphStatus | None:
    """What the supervisor with that process id says; None while it does not answer, or another one does."""
    from graph.commands import CommandClient, CommandError

    if not (run / "commands").exists():
        return None
    try:
        with CommandClient(run, ANSWER_WITHIN_S) as client:
            status = client.status()
    except CommandError:
        return None
    return status if status.pid == pid else None


def _busy(status: GraphStatus | None) -> str:
    instances = status.instances if status is not None else []
    return ", ".join(f"{one.instance} ({one.text})" for one in instances if one.health == "loading")
