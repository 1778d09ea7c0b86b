"""Whether what happened is what was expected. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graph.scenarios.spec import ChatLine, ExpectedTurn, ScenarioFile
from graph.scenarios.witnessed import Seen, SeenTurn
from graph.scenarios.word_error import word_error, words
from graph.source import Path, Place

WORD_ERROR_OF_REAL_MODELS = 0.25
CUT_OFF = "…"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be, and where that is said."""

    place: Place
    text: str

    def __str__(self) -> str:
        return str(self.place.problem(self.text))


def judge(file: ScenarioFile, seen: Seen, real: bool = False) -> list[Difference]:
    """All that differs. With real models what they reply is not judged, only that they do."""
    return list(_Judge(file, real).differences(seen))


class _Judge:
    def __init__(self, file: ScenarioFile, real: bool) -> None:
        self._file = file
        self._real = real
        self._many = len(file.scenario.user) > 1

    def _place(self, *path: str | int) -> Place:
        said = self._file.tree.at(path)
        return said.key or said.place

    def differences(self, seen: Seen) -> Iterator[Difference]:
        for session, step in seen.gave_up:
            yield Difference(self._place("user", session, step, "at"), "the moment that this step waits for never came")
        if not seen.over:
            yield Difference(self._place("user"), "it was not over after a long time")
        expected = self._file.scenario.expect
        for session in self._file.scenario.user:
            turns, found = expected.turns.get(session, []), seen.turns.get(session, [])
            path: Path = ("expect", "turns", session)
            if len(turns) != len(found):
                heard = "".join(f"\n  turn {turn.number}: {_quoted(turn.heard)}" for turn in found)
                told = f"{self._of(session)}{_turns(len(turns))} expected, got {len(found)}{heard}"
                yield Difference(self._place(*path), told)
            for index, (wanted, got) in enumerate(zip(turns, found, strict=False)):
                for key, text in self._turn(wanted, got, found):
                    yield Difference(self._place(*path, index, *key), f"{self._of(session)}turn {got.number}: {text}")
        if expected.history is not None and not self._real:
            yield from self._history(expected.history, seen)

    def _of(self, session: str) -> str:
        return f"{session}: " if self._many else ""

    def _turn(self, wanted: ExpectedTurn, got: SeenTurn, found: list[SeenTurn]) -> Iterator[tuple[tuple[str, ...], str]]:
        if wanted.heard is not None:
            yield from self._heard(wanted.heard, wanted.word_error, got)
        if wanted.answered != (got.answers > 0):
            yield ("answered",), "a reply was heard, and none expected" if got.answers else "no reply was heard"
        if got.answers > 1:
            yield (), f"it was answered {got.answers} times"
        if wanted.answered and got.answers and wanted.interrupted != got.interrupted:
            said = f"heard was '{got.replied}'" if got.interrupted else "it was heard to its end"
            yield ("interrupted",), f"the reply was {'' if got.interrupted else 'not '}interrupted: {said}"
        if wanted.failed is None and got.failed is not None and wanted.answered:
            yield (), f"it failed: {got.failed}"
        elif wanted.failed is not None and wanted.failed not in (got.failed or ""):
            yield ("failed",), f"it failed with {_quoted(got.failed)}, expected was '{wanted.failed}'"
        if wanted.apology is not None and not _says(wanted.apology, got.apology or ""):
            yield ("apology",), f"the apology '{wanted.apology}' was expected, heard was {_quoted(got.apology)}"
        if wanted.replied is not None and not self._real and not _says(wanted.replied, got.replied or ""):
            yield ("replied",), f"of the reply '{wanted.replied}' was expected, heard was {_quoted(got.replied)}"
        if wanted.words is not None and not self._real and not wanted.words[0] <= got.words <= wanted.words[1]:
            told = f"{_span(wanted.words)} words of the reply were expected"
            yield ("words",), f"{told}, heard were {got.words}: {_quoted(got.replied)}"
        if wanted.gaps is not None and not wanted.gaps[0] <= got.gaps <= wanted.gaps[1]:
            yield ("gaps",), f"{_span(wanted.gaps)} gaps in the reply were expected, there were {got.gaps}"
        if wanted.latency is not None:
            yield from self._latency(wanted.latency.turn, wanted.latency.at_most, got, found)

    def _heard(self, wanted: str, tolerance: float | None, got: SeenTurn) -> Iterator[tuple[tuple[str, ...], str]]:
        if tolerance is None:
            tolerance = WORD_ERROR_OF_REAL_MODELS if self._real else 0.0
        if got.heard is None:
            yield ("heard",), f"nothing was understood, expected was '{wanted}'"
            return
        rate = word_error(wanted, got.heard).rate
        if rate > tolerance:
            told = f"{_quoted(got.heard)} was understood, expected was {_quoted(wanted)}"
            yield ("heard",), f"{told} (word error {rate:.2f}, at most {tolerance:g})"

    @staticmethod
    def _latency(of: int, at_most: float, got: SeenTurn, found: list[SeenTurn]) -> Iterator[tuple[tuple[str, ...], str]]:
        base = next((turn.latency_ms for turn in found if turn.number == of), None)
        if base is None or got.latency_ms is None:
            yield ("latency",), f"there is no latency to compare: {_ms(got.latency_ms)}, in turn {of} {_ms(base)}"
        elif got.latency_ms > at_most * base:
            times = got.latency_ms / base
            told = f"the reply took {times:.1f} times as long as in turn {of} ({_ms(got.latency_ms)})"
            yield ("latency",), f"{told}, at most {at_most:g} times was expected"

    def _history(self, wanted: list[ChatLine], seen: Seen) -> Iterator[Difference]:
        session = next(iter(self._file.scenario.user))
        shown = next((turn.prompt for turn in reversed(seen.turns.get(session, [])) if turn.prompt is not None), [])
        lines = [("user", line.user) if line.user is not None else ("assistant", line.assistant or "") for line in wanted]
        got = [(one["role"], one["content"]) for one in shown]
        as_wanted = len(lines) == len(got) and all(
            role == other and _says(text, content) and text.endswith(CUT_OFF) == content.endswith(CUT_OFF)
            for (role, text), (other, content) in zip(lines, got, strict=True)
        )
        if not as_wanted:
            told = "".join(f"\n  {role}: {text}" for role, text in got) or " nothing"
            yield Difference(self._place("expect", "history"), f"the model was shown another history:{told}")


def _says(wanted: str, got: str) -> bool:
    """The same words; where what is wanted ends with `…`, the same beginning."""
    said, heard = words(wanted), words(got)
    return heard[: len(said)] == said if wanted.endswith(CUT_OFF) else heard == said


def _quoted(text: str | None) -> str:
    return "nothing" if not text else f"'{text}'"


def _ms(latency: float | None) -> str:
    return "none" if latency is None else f"{latency:.0f} ms"


def _span(span: tuple[int, int]) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]} to {span[1]}"


def _turns(count: int) -> str:
    return f"{count} turn{'' if count == 1 else 's'}"
