"""From what was written down to what happened."""

from __future__ import annotations

from graph.scenarios.witnessed import SeenTurn, read_lines, seen

from .lines import OVER, answered, line


def test_a_turn_that_was_answered() -> None:
    found = seen([*answered("How many?", "Seven."), OVER])
    prompt = [{"role": "user", "content": "How many?"}]
    assert found.turns == {"default": [SeenTurn(1, "How many?", "Seven.", "Seven.", False, 1, latency_ms=800.0, prompt=prompt)]}
    assert found.over


def test_of_a_turn_that_came_anew_the_last_revision_counts_and_every_answer() -> None:
    first = [line("transcript", revision=0, text="How"), line("reply.begins", revision=0)]
    again = [
        line("turn_confirmed", revision=1),
        line("transcript", revision=1, text="How many?"),
        line("reply.begins", revision=1),
    ]
    (turn,) = seen([*first, *again]).turns["default"]
    assert (turn.heard, turn.answers, turn.replied) == ("How many?", 2, None)


def test_an_apology_is_no_answer() -> None:
    lines = [
        line("turn_confirmed", revision=0),
        line("transcript", revision=0, text="How many?"),
        line("turn_failed", revision=0, cause="the voice made no sound"),
        line("reply.begins", revision=1),
        line("reply.ends", revision=1, text="Sorry.", interrupted=False),
    ]
    (turn,) = seen(lines).turns["default"]
    assert (turn.answers, turn.replied, turn.failed, turn.apology) == (0, None, "the voice made no sound", "Sorry.")


def test_what_was_never_confirmed_is_no_turn() -> None:
    assert seen([line("transcript", text="How"), line("utterance")]).turns == {}


def test_sessions_are_kept_apart_and_turns_in_order() -> None:
    lines = [*answered("c", "d", 2, session="ben"), *answered("a", "b", 1, session="ben"), *answered("e", "f", session="anna")]
    found = seen(lines).turns
    assert {session: [turn.heard for turn in turns] for session, turns in found.items()} == {"anna": ["e"], "ben": ["a", "c"]}


def test_a_step_that_waited_in_vain() -> None:
    found = seen([line("cue", turn=0, session="anna", name="gave_up", step=3)])
    assert (found.gave_up, found.over) == ([("anna", 3)], False)


def test_a_line_that_is_just_being_written_comes_next_time() -> None:
    assert read_lines('{"a": 1}\n{"b": ') == [{"a": 1}]
    assert read_lines("") == []
