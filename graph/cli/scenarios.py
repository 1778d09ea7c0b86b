"""`graph test`: hold scenarios and see whether what happens is what should."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli.running import Json

if TYPE_CHECKING:
    from graph.cli.scenario_results import Results
    from graph.scenarios.hold import Ready, Result

FAILED = 1


def hold(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Scenario files, or folders with such.")],
    pattern: Annotated[
        str | None,
        typer.Option("-k", metavar="PATTERN", help="Only those whose name holds this text, or fits it (* and ?)."),
    ] = None,
    real: Annotated[bool, typer.Option("--real", help="With the graph's models instead of stand-ins.")] = False,
    record: Annotated[
        bool,
        typer.Option("--record", help="With the models; what they say, and when, is kept for the stand-ins."),
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep what each scenario wrote: sound, graph, report, logs.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("-j", "--jobs", min=1, max=64, help="How many at once; default: one a core, with --real one.")
    ] = None,
    pull: Annotated[bool, typer.Option(help="Fetch missing models first.")] = True,
    as_json: Json = False,
) -> None:
    """Hold conversations with a graph, and see whether what happens is what should.

    A scenario (docs/scenarios.md) names a graph, what the user says and when, and what must happen: what was understood, how
    many turns it made, how much of each reply was heard, what the model was shown. The graph runs as `graph run` runs it, with
    three changes: the user takes the place of the capture node, the sink writes files, and stand-ins, which say what the
    scenario or its recording says, take the place of transcriber, language model and voice. VAD and turn-taking are real.
    No sound card is needed.

    A line a scenario; of one that fails, what differs: the line of the file, what was expected, what happened.

    Exit codes: 0 all passed; 1 some failed; 2 a file or the call is wrong; 130 Ctrl-C.
    """
    from graph.cli.scenario_results import Results
    from graph.models import Bars, ensure
    from graph.scenarios.choose import choose
    from graph.scenarios.derive import Held
    from graph.scenarios.hold import prepare

    real |= record
    chosen = choose(files, pattern, dict(os.environ))
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vg-scenarios-")))
        held = [Held(one, folder.absolute() / one.name, speech_folder(one.path), real, record) for one in chosen]
        ready = [prepare(one, dict(os.environ)) for one in held]
        if pull:
            with Bars() as progress:
                ensure(dict.fromkeys(model for one in ready for model in one.plan.models), progress)
        results = Results(as_json, len(ready))
        with results:
            _hold_all(ready, jobs or (1 if real else os.cpu_count() or 1), results)
    raise typer.Exit(0 if results.all_passed else FAILED)


def speech_folder(file: Path) -> Path:
    """Where spoken texts are kept: `speech` beside the scenario where there is one, else with the models."""
    from graph.models.store import root

    beside = file.absolute().parent / "speech"
    return beside if beside.is_dir() else root().parent / "speech"


def _hold_all(ready: list[Ready], jobs: int, results: Results) -> None:
    """So many at once; shown in their order. Ctrl-C ends those that are under way."""
    from concurrent.futures import ThreadPoolExecutor

    from graph.scenarios.hold import hold as hold_one

    stopped = Event()

    def held(one: Ready) -> Result:
        name = one.held.file.name
        results.begins(name)
        try:
            return hold_one(one, stopped)
        finally:
            results.ends(name)

    def interrupted(number: int, frame: FrameType | None) -> None:
        stopped.set()  # the exception alone may be lost in a finaliser that is running just now
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    with ThreadPoolExecutor(jobs, "scenario") as threads:
        futures = [threads.submit(held, one) for one in ready]
        try:
            for future in futures:
                results.show(future.result())
        except BaseException:
            stopped.set()
            threads.shutdown(cancel_futures=True)
            raise
        finally:
            signal.signal(signal.SIGINT, before)
    if stopped.is_set():
        raise KeyboardInterrupt
