"""How the results of scenarios are shown: a line each, what differs beneath it, and on a terminal what is under way."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer
from rich.console import Console

if TYPE_CHECKING:
    from graph.scenarios.hold import Result


class Results:
    """Shows results as they come; a context manager."""

    def __init__(self, as_json: bool, count: int) -> None:
        self._as_json = as_json
        self._count = count
        self._results: list[Result] = []
        self._under_way: list[str] = []
        self._began_s = time.monotonic()
        self._status = Console(stderr=True, highlight=False).status("")

    @property
    def all_passed(self) -> bool:
        return all(result.passed for result in self._results)

    def __enter__(self) -> Self:
        if self._status.console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._status.stop()
        if kind is not None:
            return
        if self._as_json:
            typer.echo(json.dumps([_as_dict(one) for one in self._results], indent=2, ensure_ascii=False))
            return
        failed = sum(not result.passed for result in self._results)
        passed = len(self._results) - failed
        told = f"{passed} passed" + (f", {failed} failed" if failed else "")
        typer.echo(f"{_scenarios(len(self._results))} in {time.monotonic() - self._began_s:.0f} s: {told}")

    def begins(self, name: str) -> None:
        self._under_way.append(name)
        self._show()

    def ends(self, name: str) -> None:
        self._under_way.remove(name)
        self._show()

    def show(self, result: Result) -> None:
        """A result, in the order of the files."""
        self._results.append(result)
        if self._as_json:
            return
        typer.echo(f"{'✓' if result.passed else '✗'} {result.name}: {result.title} ({result.seconds:.0f} s)")
        for difference in result.differences:
            typer.echo("\n".join(f"    {line}" for line in str(difference).splitlines()))

    def _show(self) -> None:
        self._status.update(f"{len(self._results)} of {self._count} held; under way: {', '.join(self._under_way)}")


def _scenarios(count: int) -> str:
    return f"{count} scenario{'' if count == 1 else 's'}"


def _as_dict(result: Result) -> dict[str, Any]:
    return {
        "scenario": result.name,
        "title": result.title,
        "passed": result.passed,
        "seconds": round(result.seconds, 1),
        "differences": [
            {"file": d.place.file, "line": d.place.line, "column": d.place.column, "text": d.text} for d in result.differences
        ],
        "turns": {session: [turn.as_dict() for turn in turns] for session, turns in result.seen.turns.items()},
    }
