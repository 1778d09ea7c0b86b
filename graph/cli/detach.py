"""`graph run -d`: the same run in the background."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from graph.plan import Plan
    from graph.status import GraphStatus

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
LOOK_S = 0.1
ANSWER_WITHIN_S = 1.0


def detach(plan: Plan, file: Path, overlays: list[str], report: Path | None, as_json: bool) -> None:
    """Start `graph run` in a session of its own, and wait until the graph runs.

    :raises typer.Exit: it ended before it ran, with its own exit code; what it said is shown.
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
    with said.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "graph.cli", "run", str(file), "--no-pull", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    console = Console(stderr=True, highlight=False)
    try:
        with console.status("starting") as shown:
            status = None
            while status is None or status.phase == "starting":
                if process.poll() is not None:
                    typer.echo(said.read_text(), err=True, nl=False)
                    raise typer.Exit(process.returncode)
                time.sleep(LOOK_S)
                status = _status(directory.path, process.pid)
                shown.update(f"starting: {_busy(status)}")
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        folders = {"run_folder": status.run_folder, "log_folder": status.log_folder, "output": str(said)}
        typer.echo(json.dumps({"graph": plan.name, "file": status.file, "pid": process.pid, **folders}, indent=2))
        return
    name = plan.name
    typer.echo(f"'{name}' is running (process {process.pid}); what it says: {said}")
    typer.echo(f"go on with: graph status {name}, graph top {name}, graph stop -g {name}")


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
