"""All checks, in the order in which one would mend what they find."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from graph.doctor import folders, libraries, memory, models, sound, system
from graph.doctor.finding import Finding, ok, problem
from graph.errors import SpecError, VoicegraphError
from graph.load import load_plan
from graph.plan import Plan, PlannedNode
from graph.rundir import RunDir
from graph.running import owner

SHARED = Path("/dev/shm")


def visit(file: Path | None, overlays: list[str] | None = None) -> Iterator[Finding]:
    """Look at this machine, for one graph or, where no file is given, for all that could be.

    A check that fails itself is a finding too; the others go on.
    """
    yield libraries.python()
    plan = None
    if file is not None:
        try:
            plan = load_plan(file, overlays or [])
            yield ok("graph", f"{file}: {len(plan.instances)} processes")
        except SpecError as error:
            yield from (problem("graph", str(one), f"graph validate {file}") for one in error.problems)
        except VoicegraphError as error:
            yield problem("graph", str(error), f"graph validate {file}")
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("libraries", lambda: _libraries(plan, file is None)),
        ("sound", lambda: _sound(plan, file is None)),
        ("system", lambda: _system(plan)),
        ("folders", lambda: _folders(plan)),
    ]
    if plan is not None:
        known = plan
        checks[1:1] = [("models", lambda: models.check_models(known.models))]
        checks += [("memory", lambda: _memory(known))]
    for name, check in checks:
        try:
            yield from check()
        except (VoicegraphError, OSError) as error:
            yield problem(name, f"cannot be looked at: {error}")


def _nodes(plan: Plan) -> list[PlannedNode]:
    """Those that may work, fallbacks among them."""
    return [*plan.nodes, *(node.fallback for node in plan.nodes if node.fallback is not None)]


def _libraries(plan: Plan | None, every: bool) -> Iterator[Finding]:
    asked = libraries.own_requirements()
    yield libraries.check_own(asked, libraries.installed_version)
    needed = libraries.extras_of(_nodes(plan)) if plan is not None else libraries.all_extras(asked) if every else {}
    yield from libraries.check_extras(needed, asked, libraries.installed_version)


def _sound(plan: Plan | None, every: bool) -> Iterator[Finding]:
    nodes = _nodes(plan) if plan is not None else []
    wanted = [node for node in nodes if sound.EXTRA in libraries.extras_of([node])]
    if wanted or every:
        yield from sound.check_sound(sound.ask(), wanted, every)


def _system(plan: Plan | None) -> Iterator[Finding]:
    yield system.check_pidfd()
    if plan is not None:
        yield system.check_files(plan, *resource.getrlimit(resource.RLIMIT_NOFILE))
        ports = system.check_ports(plan, _runs(plan))
        yield from [ports] if ports is not None else []
        yield from system.check_programs(_nodes(plan))


def _runs(plan: Plan) -> bool:
    try:
        return owner(RunDir.of(plan)) is not None
    except OSError:
        return False


def _folders(plan: Plan | None) -> Iterator[Finding]:
    yield folders.check_run_folder(plan)
    yield folders.check_logs(plan)
    yield from folders.check_left()


def _memory(plan: Plan) -> Iterator[Finding]:
    import psutil

    usable = SHARED.is_dir() and os.access(SHARED, os.W_OK)
    shared = shutil.disk_usage(SHARED) if usable else None
    yield memory.check_shared_memory(plan, shared.total if shared else None, shared.free if shared else None)
    loaded = {node.name: models.bytes_of(node.models) for node in plan.nodes}
    yield memory.check_memory(plan, loaded, psutil.virtual_memory().available)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield memory.check_threads(plan.nodes, cores)
