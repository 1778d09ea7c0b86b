"""Where the logs of graphs are: one folder a graph file, which outlives the run; the run before is kept inside it."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import msgspec
import platformdirs

from graph.errors import VoicegraphError
from graph.plan import Plan
from graph.rundir import RunDir

NAME = "graph.json"
PREVIOUS = "previous"


class _Of(msgspec.Struct):
    """Whose logs they are."""

    graph: str
    file: str


def root() -> Path:
    return Path(platformdirs.user_state_dir("voicegraph")) / "logs"


def log_dir(plan: Plan) -> Path:
    """Where the processes of a graph write what they log and print."""
    return of_run(RunDir.of(plan).path.name)


def of_run(folder: str) -> Path:
    """The same, from the name of the run's folder."""
    return root() / folder


def begin(plan: Plan, adopt: bool) -> Path:
    """Make room for the logs of a run: those of the run before are moved aside, unless its nodes live on.

    :raises VoicegraphError: there is no place for logs.
    """
    logs = log_dir(plan)
    try:
        if logs.exists() and not adopt:
            shutil.rmtree(logs / PREVIOUS, ignore_errors=True)
            kept = [*logs.iterdir()]
            (logs / PREVIOUS).mkdir()
            for one in kept:
                one.replace(logs / PREVIOUS / one.name)
        logs.mkdir(parents=True, exist_ok=True)
        said = _Of(plan.name, str(Path(plan.file).resolve()))
        (logs / NAME).write_bytes(msgspec.json.encode(said))
    except OSError as error:
        raise _no_place(logs, error) from error
    return logs


def begin_output(plan: Plan) -> Path:
    """An empty file beside the folder, for what `graph run` itself prints where it has no terminal.

    :raises VoicegraphError: there is no place for logs.
    """
    logs = log_dir(plan)
    output = logs.with_suffix(".run.log")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(b"")
    except OSError as error:
        raise _no_place(logs, error) from error
    return output


def _no_place(logs: Path, error: OSError) -> VoicegraphError:
    return VoicegraphError(f"cannot write logs to {logs}: {error.strerror}; set XDG_STATE_HOME to a folder of yours")


def graph_of(logs: Path) -> str:
    """The graph whose logs they are.

    :raises OSError, msgspec.DecodeError: that cannot be read.
    """
    return msgspec.json.decode((logs / NAME).read_bytes(), type=_Of).graph


def names() -> list[str]:
    """The graphs that have logs."""
    found = set()
    for file in root().glob(f"*/{NAME}"):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found.add(graph_of(file.parent))
    return sorted(found)


def named(graph: str | None) -> Path | None:
    """The folder of the graph of that name or file that ran last; None where there is none, or nothing was named."""
    found = []
    for file in root().glob(f"*/{NAME}"):
        try:
            of = msgspec.json.decode(file.read_bytes(), type=_Of)
        except (OSError, msgspec.DecodeError):
            continue
        if graph is None or of.graph == graph or of.file == str(Path(graph).resolve()):
            found.append((file.stat().st_mtime, file.parent))
    return max(found)[1] if found else None
