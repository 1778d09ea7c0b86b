"""What a pull tells while it runs: nothing, or bars in the terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import TaskID

POLL_S = 0.2  # pip, npm and the hub's client have no common way to report: what has arrived on disk is looked at


class PullProgress:
    """Hears what a pull does; this one says nothing. `received` is called from a thread of its own."""

    def started(self, model: str, source: str, total_bytes: int | None) -> None:
        """A source of a model is being tried; None: its size is not known."""

    def received(self, model: str, done_bytes: int) -> None:
        """So much of it has arrived."""

    def finished(self, model: str) -> None:
        """The model is in the store."""

    def note(self, text: str) -> None:
        """Something that the user may wonder about: a source skipped, a wait for another process."""


@contextmanager
def watched(progress: PullProgress, model: str, measure: Callable[[], int]) -> Iterator[None]:
    """Report what `measure` says (bytes) for as long as the block runs."""
    done = threading.Event()

    def poll() -> None:
        while not done.wait(POLL_S):
            progress.received(model, measure())

    watcher = threading.Thread(target=poll, name=f"progress {model}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


class Bars(PullProgress):
    """Progress bars on stderr, one a model: `with Bars() as progress: ensure(models, progress)`.

    They appear with the first download, so where nothing is missing nothing is shown.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=Console(stderr=True, highlight=False))
        self._tasks: dict[str, TaskID] = {}
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._tasks:  # stopping what never started would print an empty line
            self._bars.stop()

    def started(self, model: str, source: str, total_bytes: int | None) -> None:
        self._bars.start()
        if model in self._tasks:  # the source before this one failed
            self._bars.remove_task(self._tasks[model])
        self._tasks[model] = self._bars.add_task(model, total=total_bytes)

    def received(self, model: str, done_bytes: int) -> None:
        self._bars.update(self._tasks[model], completed=done_bytes)

    def finished(self, model: str) -> None:
        total = next(t.total for t in self._bars.tasks if t.id == self._tasks[model])
        self._bars.update(self._tasks[model], completed=total)

    def note(self, text: str) -> None:
        if text not in self._said:  # an unreachable hub is told once, not once a model
            self._said.add(text)
            self._bars.console.print(text, style="dim", markup=False, soft_wrap=True)
