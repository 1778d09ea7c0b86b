"""The folders that runs use: for their sockets, for their logs, and what killed ones have left."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from graph.doctor.finding import Finding, ok, problem, size, warning
from graph.doctor.models import existing
from graph.errors import VoicegraphError
from graph.log_places import root as log_root
from graph.log_rotation import BYTES_MAX, KEPT
from graph.plan import Plan
from graph.rundir import RINGS, SCRATCH, RunDir, base_dir
from graph.running import owner

YOUNG_S = 10.0  # a folder that was made just now may be a graph that is starting


def check_run_folder(plan: Plan | None) -> Finding:
    """Whether there is a folder for the sockets, of this user's alone and with a path short enough."""
    check = "run folder"
    try:
        base = base_dir()
        if plan is not None:
            RunDir.of(plan).check_length(plan)
    except (VoicegraphError, OSError) as error:
        return problem(check, str(error), "export XDG_RUNTIME_DIR=/run/user/$(id -u)")
    mode = base.stat().st_mode & 0o777
    if not os.access(base, os.W_OK | os.X_OK):
        return problem(check, f"{base} is not writable", f"chmod 700 {shlex.quote(str(base))}")
    if mode & 0o077:
        text = f"{base} may be entered by others (mode {mode:o}): whoever may can give orders to the graph"
        return warning(check, text, f"chmod 700 {shlex.quote(str(base))}")
    return ok(check, str(base))


def check_logs(plan: Plan | None) -> Finding:
    """Whether logs can be written, and the disk has room for as much as they may grow to."""
    there = existing(log_root())
    if not os.access(there, os.W_OK | os.X_OK):
        return problem("logs", f"{there} is not writable", "export XDG_STATE_HOME=$HOME/.local/state")
    files = 1 + (len(plan.instances) if plan is not None else 0)
    most = 2 * files * (1 + KEPT) * BYTES_MAX  # the run before is kept
    free = shutil.disk_usage(there).free
    text = f"{log_root()}, {size(free)} free" + (f", they grow to {size(most)} at most" if plan is not None else "")
    return warning("logs", text, f"df -h {shlex.quote(str(there))}") if free < most else ok("logs", text)


def check_left(folders: Iterable[Path] | None = None, now_s: float | None = None) -> Iterator[Finding]:
    """What runs that were killed have left, and graphs whose supervisor was."""
    now_s = time.time() if now_s is None else now_s
    stale = []
    for folder in sorted(base_dir().iterdir() if folders is None else folders):
        directory = RunDir(folder)
        try:
            if not folder.is_dir() or owner(directory) is not None:
                continue
            alive = len(directory.alive())
            young = now_s - folder.stat().st_mtime < YOUNG_S
        except FileNotFoundError:
            alive, young = 0, folder.is_dir() and now_s - folder.stat().st_mtime < YOUNG_S
        except PermissionError:
            continue  # somebody else's
        if alive:
            yield _orphaned(directory, alive)
        elif not young and folder.is_dir():
            stale.append(folder)
    if stale:
        paths = " ".join(shlex.quote(str(path)) for folder in stale for path in _parts(folder))
        yield warning("left over", f"{len(stale)} runs that were killed have left their folders", f"rm -rf {paths}")
    else:
        yield ok("left over", "nothing of killed runs")


def _orphaned(directory: RunDir, alive: int) -> Finding:
    try:
        plan = directory.read_plan()
        name, do = plan.name, f"graph run {shlex.quote(plan.file)} takes over, graph stop {shlex.quote(plan.name)} ends it"
    except (OSError, ValueError):
        name, do = directory.path.name, ""
    return warning("left over", f"the supervisor of '{name}' was killed, {alive} of its processes live", do)


def _parts(folder: Path) -> Iterator[Path]:
    """A run's folder, and those that it has elsewhere."""
    for link in (folder / SCRATCH, folder / RINGS):
        if link.is_symlink() and link.exists():
            yield link.resolve()
    yield folder
