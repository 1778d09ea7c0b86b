"""Nothing is heard before its turn is confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.testing import Harness
from nodes.kinds import AudioFrame, Played, ReplyBegins
from nodes.sink.file import FileSink
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt, TurnConfirmed, TurnPending

RATE_HZ = 24_000
CONFIRMED = TurnConfirmed(0.9, 400, "judge")


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Harness[FileSink]]:
    with Harness(FileSink, folder=tmp_path, inputs={"turn"}) as made:
        yield made


def say(sink: Harness[FileSink], text: str, turn: int = 1, revision: int = 0) -> list[object]:
    """A second of a reply, and that it was all."""
    frame, pcm = AudioFrame(RATE_HZ), bytes(2 * RATE_HZ)
    sent = sink.feed("audio", frame, pcm, turn=turn, revision=revision)
    sent += sink.feed("audio", Spoken(text, RATE_HZ, last=True), turn=turn, revision=revision)
    return [one.body for one in sent]


def confirm(sink: Harness[FileSink], turn: int = 1, revision: int = 0) -> list[object]:
    return [one.body for one in sink.feed("turn", CONFIRMED, turn=turn, revision=revision)]


def heard(sink: Harness[FileSink]) -> list[str]:
    sink.drain()
    return [one.body.text for one in sink.sent if isinstance(one.body, Played)]


def test_what_comes_early_waits_for_its_turn(sink: Harness[FileSink]) -> None:
    assert say(sink, "Too soon.") == []
    assert sink.feed("turn", TurnPending(0.3, 400), turn=1) == []
    assert confirm(sink)[0] == ReplyBegins()
    assert heard(sink) == ["Too soon."]


def test_what_comes_late_is_heard_at_once(sink: Harness[FileSink]) -> None:
    assert confirm(sink) == []
    assert say(sink, "At last.")[0] == ReplyBegins()
    assert heard(sink) == ["At last."]


def test_what_was_withdrawn_is_never_heard(sink: Harness[FileSink]) -> None:
    say(sink, "Of a half sentence.")
    sink.feed("interrupt", Interrupt("goes on"), turn=1, revision=1)
    say(sink, "Of the whole.", revision=1)
    assert confirm(sink, revision=1)[0] == ReplyBegins()
    assert heard(sink) == ["Of the whole."]


def test_an_older_turn_is_heard_out_and_what_is_of_none_always(sink: Harness[FileSink]) -> None:
    confirm(sink)
    confirm(sink, turn=2)
    say(sink, "The first.")
    say(sink, "Of the third.", turn=3)
    say(sink, "Welcome.", turn=0)
    assert heard(sink) == ["The first.", "Welcome."]


def test_without_turns_all_is_heard_as_it_comes(tmp_path: Path) -> None:
    with Harness(FileSink, folder=tmp_path) as sink:
        say(sink, "Now.")
        assert heard(sink) == ["Now."]
