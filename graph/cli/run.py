"""`graph run`: start the graph and see it through."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from graph.cli.arguments import DEFAULT_FILE, File, Overlays

if TYPE_CHECKING:
    from graph.events import Tell
    from graph.plan import Plan
    from graph.supervisor import Supervisor
    from graph.watching import Watch


def run(
    file: File = DEFAULT_FILE,
    overlay: Overlays = None,
    report: Annotated[Path | None, typer.Option(help="Write what happened, turn by turn and edge by edge, as JSON.")] = None,
    pull: Annotated[bool, typer.Option(help="Fetch missing models before the start.")] = True,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only warnings and errors.")] = False,
    watch: Annotated[
        bool | None,
        typer.Option("--watch/--no-watch", help="Change the running graph when its file is saved. Default: on a terminal."),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="For node authors: also when the Python file of a node is saved. Implies --watch.")
    ] = False,
    detached: Annotated[bool, typer.Option("-d", "--detach", help="In the background, once it runs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Of --detach: print where it runs as JSON.")] = False,
) -> None:
    """Run a graph until its sources end. Ctrl-C drains it, a second Ctrl-C stops it at once.

    Save the file while it runs, and the graph becomes what it says (--watch): models, parameters, engines, replicas.
    Nodes that die are started again, as their `restart` says. If this process is killed the nodes live on; run the same file
    again within `orphan_after` (30 s) and it takes over.

    Exit codes: 0 the graph ended or was drained; 1 a node could not start or has failed, or the drain took too long;
    2 the file or the call is wrong; 130 stopped at once by a second Ctrl-C. While --detach waits, Ctrl-C (130) and SIGTERM
    (143) end only the waiting: the graph goes on starting.
    """
    from graph.load import load_plan
    from graph.log_places import log_dir
    from graph.run import run as run_plan

    if as_json and not detached:
        from graph.running import WrongCall

        raise WrongCall("--json is for --detach; what happens in a run is written by --report FILE")
    plan = load_plan(file, overlay or [])
    if report is not None:
        _write(report)
    if pull:
        from graph.models import Bars, ensure

        with Bars() as progress:
            ensure(plan.models, progress)
    if detached:
        from graph.cli.detach import detach

        detach(plan, file, overlay or [], report, quiet, as_json, bool(watch))
        return
    console = _Console(quiet, log_dir(plan))
    began_s = time.monotonic()
    code, gathered, failures = run_plan(plan, console.tell, _watch(plan, file, overlay or [], watch, reload))
    if report is not None:
        text = json.dumps(gathered.as_dict(code, failures, time.monotonic() - began_s), indent=2, ensure_ascii=False)
        _write(report, text + "\n")
    _leave(code)


def _watch(plan: Plan, file: Path, overlays: list[str], wanted: bool | None, reload: bool) -> Watch | None:
    if not (reload or (sys.stderr.isatty() if wanted is None else wanted)):
        return None
    from graph.load import load_plan
    from graph.watching import Watch

    code = _code_of(plan) if reload else {}

    def read() -> Plan:
        for module in code:  # or what was imported before would be planned again
            sys.modules.pop(module, None)
        return load_plan(file, overlays)

    return Watch(file, read, code.values())


def _code_of(plan: Plan) -> dict[str, Path]:
    """By module, the files of the nodes that are not installed: those that somebody may be working on."""
    names = {node.target.partition(":")[0] for node in plan.nodes}
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in names}
    return {name: Path(file) for name, file in files.items() if file and "site-packages" not in file}


def _leave(code: int) -> NoReturn:
    """All is written: to tidy up this interpreter would take longer than it took to drain the graph."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a terminal that was closed
            stream.flush()
    os._exit(code)


def _write(report: Path, text: str | None = None) -> None:
    """Write the report; without a text, see that it can be written, and leave what is there."""
    from graph.errors import VoicegraphError

    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("a" if text is None else "w", encoding="utf-8") as file:
            file.write(text or "")
    except OSError as error:
        raise VoicegraphError(f"cannot write the report to {report}: {error.strerror}") from error


class _Console:
    """Tells the user what the supervisor has to say, on stderr: one live line while starting, a line for what matters."""

    def __init__(self, quiet: bool, logs: Path) -> None:
        from rich.console import Console
        from rich.status import Status

        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._logs = logs
        self._began_s = time.monotonic()
        self._gone = False
        self._status = Status("starting", console=self._console)
        if self._console.is_terminal and not quiet:
            self._status.start()

    def tell(self, line: Tell, supervisor: Supervisor) -> None:
        """Show one line, unless the terminal was closed: nobody reads it then, but the graph has still to be drained."""
        if self._gone:
            return
        try:
            self._show(line, supervisor)
        except (OSError, SystemExit):  # at a broken pipe rich leaves the program
            self._gone = True

    def _show(self, line: Tell, supervisor: Supervisor) -> None:
        name = f"{line.instance}: " if line.instance else ""
        if line.level == "status":
            busy = ", ".join(f"{m.id} ({m.status})" for m in supervisor.members.values() if m.status)
            self._status.update(f"starting: {busy}")
        elif line.level == "info":
            self._status.stop()
            after = f" after {time.monotonic() - self._began_s:.1f} s" if line.text == "running" else ""
            if not self._quiet:
                self._print(f"{name}{line.text}{after}", "dim")
        else:
            self._status.stop()
            self._print(f"{line.level}: {name}{line.text}", "yellow" if line.level == "warning" else "red")
            log = self._logs / f"{line.instance}.log"
            if line.level == "error" and log.exists() and log.stat().st_size:
                self._print(f"  its output: {log}", "dim")

    def _print(self, text: str, style: str) -> None:
        self._console.print(text, style=style, markup=False, soft_wrap=True)
        sys.stderr.flush()
