"""The supervisor's decisions as histories: at this second this happened, so it does that."""

from __future__ import annotations

import signal

import pytest

from graph.control import Beat, Drain, Drained, Failed, Hello, Loaded, Ready, Start, Status, Stop, Warned
from graph.events import (
    Action,
    Event,
    Exited,
    Finish,
    Interrupted,
    Kill,
    Said,
    Send,
    Spawn,
    Tell,
    Tick,
)
from graph.plan import Instance, Plan, PlannedNode
from graph.supervisor import LEAVE_WITHIN_S, Supervisor

PLAN = Plan(
    name="two",
    file="two.yaml",
    nodes=tuple(PlannedNode(n, "x:Y", "x:Y", {}, (n,), source=n == "a") for n in "ab"),
    instances=(Instance("a", "a"), Instance("b", "b")),
    edges=(),
    drain_within_s=10,
)


def late_to_leave(signal_name: str) -> Tell:
    return Tell("warning", f"has not left within {LEAVE_WITHIN_S:g} s: {signal_name}", "b")


History = list[tuple[float, Event, list[Action]]]

BEGIN: list[Action] = [Spawn("a"), Spawn("b")]
STOP_BOTH: list[Action] = [Send("a", Stop()), Send("b", Stop())]
READY: History = [
    (0, Said("a", Loaded()), []),
    (0, Said("b", Loaded()), []),
    (1, Said("a", Ready()), []),
    (2, Said("b", Ready()), [Send("a", Start()), Send("b", Start()), Tell("info", "running")]),
]
DRAINING = Tell("info", "draining (Ctrl-C again stops at once)")
GONE = [(9, Exited("a", 0), []), (9, Exited("b", 0), [Finish(0)])]
GONE_1 = [(9, Exited("a", 0), []), (9, Exited("b", 0), [Finish(1)])]

HISTORIES: dict[str, History] = {
    "all ready, then running": [*READY],
    "a node says what it is busy with": [(1, Said("b", Status("loading base")), [Tell("status", "loading base", "b")])],
    "a warning is passed on and changes nothing": [*READY, (3, Said("a", Warned("quiet")), [Tell("warning", "quiet", "a")])],
    "sources end: all drained, all told to leave, all gone": [
        *READY,
        (3, Said("a", Drained()), []),
        (4, Said("b", Drained()), STOP_BOTH),
        *GONE,
    ],
    "Ctrl-C drains, exit 0": [
        *READY,
        (3, Interrupted(), [DRAINING, Send("a", Drain()), Send("b", Drain())]),
        (4, Said("a", Drained()), []),
        (5, Said("b", Drained()), STOP_BOTH),
        *GONE,
    ],
    "Ctrl-C before ready leaves at once, exit 0": [
        *READY[:3],
        (2, Interrupted(), [Tell("info", "stopping before the graph was ready"), *STOP_BOTH]),
        *GONE,
    ],
    "a second Ctrl-C kills, exit 130": [
        *READY,
        (3, Interrupted(), [DRAINING, Send("a", Drain()), Send("b", Drain())]),
        (4, Interrupted(), [Kill("a", signal.SIGKILL), Kill("b", signal.SIGKILL)]),
        (4, Exited("a", -9), []),
        (4, Exited("b", -9), [Finish(130)]),
    ],
    "a drain that takes too long is told and given up, exit 1": [
        *READY,
        (3, Interrupted(), [DRAINING, Send("a", Drain()), Send("b", Drain())]),
        (4, Said("a", Drained()), []),
        (12.9, Tick(), []),
        (13, Tick(), [Tell("warning", "not drained within 10 s: b"), *STOP_BOTH]),
        *GONE_1,
    ],
    "who does not leave gets SIGTERM, then SIGKILL": [
        *READY,
        (3, Said("a", Drained()), []),
        (4, Said("b", Drained()), STOP_BOTH),
        (5, Exited("a", 0), []),
        (4 + LEAVE_WITHIN_S, Tick(), [late_to_leave("SIGTERM"), Kill("b", signal.SIGTERM)]),
        (4 + LEAVE_WITHIN_S + 1, Tick(), []),
        (4 + 2 * LEAVE_WITHIN_S, Tick(), [late_to_leave("SIGKILL"), Kill("b", signal.SIGKILL)]),
        (15, Exited("b", -9), [Finish(1)]),
    ],
    "a first Ctrl-C while all leave anyway kills nobody, a second does": [
        *READY,
        (3, Said("a", Drained()), []),
        (4, Said("b", Drained()), STOP_BOTH),
        (4, Interrupted(), [Tell("info", "leaving (Ctrl-C again stops at once)")]),
        (5, Exited("a", 0), []),
        (5, Interrupted(), [Kill("b", signal.SIGKILL)]),
        (5, Exited("b", -9), [Finish(130)]),
    ],
    "a node that cannot start stops the graph, exit 1": [
        (0, Said("a", Loaded()), []),
        (1, Said("b", Failed("no microphone")), [Tell("error", "no microphone", "b"), *STOP_BOTH]),
        (2, Exited("b", 1), []),
        (2, Exited("a", 0), [Finish(1)]),
    ],
    "who is still loading is ended: it hears nothing and has nothing to lose": [
        (1, Said("b", Failed("x")), [Tell("error", "x", "b"), *STOP_BOTH, Kill("a", signal.SIGTERM)]),
        (2, Exited("a", -15), []),
        (2, Exited("b", 1), [Finish(1)]),
    ],
    "who comes while all leave is told to leave": [
        (1, Said("b", Failed("x")), [Tell("error", "x", "b"), *STOP_BOTH, Kill("a", signal.SIGTERM)]),
        (1, Said("a", Hello(7)), [Send("a", Stop())]),
    ],
    "a second failure while leaving is told too": [
        (0, Said("a", Loaded()), []),
        (3, Said("b", Failed("x")), [Tell("error", "x", "b"), *STOP_BOTH]),
        (3, Said("a", Failed("y")), [Tell("error", "y", "a")]),
        (4, Exited("a", 1), []),
        (4, Exited("b", 1), [Finish(1)]),
    ],
    "a failure in close spoils the exit code": [
        *READY,
        (3, Said("a", Drained()), []),
        (4, Said("b", Drained()), STOP_BOTH),
        (5, Said("b", Failed("disk full")), [Tell("error", "disk full", "b")]),
        *GONE_1,
    ],
    "a crash while leaving spoils the exit code": [
        *READY,
        (3, Said("a", Drained()), []),
        (4, Said("b", Drained()), STOP_BOTH),
        (5, Exited("b", -11), [Tell("error", "died: killed by SIGSEGV", "b")]),
        (5, Exited("a", 0), [Finish(1)]),
    ],
    "not ready in time: who has not loaded is named, with its last status": [
        (1, Said("a", Loaded()), []),
        (1, Said("b", Status("loading base")), [Tell("status", "loading base", "b")]),
        (119, Tick(), []),
        (120, Tick(), [Tell("error", "not ready within 120 s (last: loading base)", "b"), *STOP_BOTH]),
        *GONE_1,
    ],
    "all loaded, but one finds no neighbour: it is named": [
        *READY[:3],
        (120, Tick(), [Tell("error", "not ready within 120 s", "b"), *STOP_BOTH]),
        *GONE_1,
    ],
    "messages of strangers change nothing": [(1, Said("c", Ready()), []), (1, Said("c", Failed("boo")), [])],
    "ready said twice counts once": [*READY[:3], (1, Said("a", Ready()), []), *READY[3:]],
    "ready before loaded is nonsense and changes nothing": [(1, Said("a", Ready()), []), *READY],
}


def test_the_beats_of_a_large_graph_are_not_a_look_at_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(PLAN)
    supervisor.begin(0)
    looked: list[float] = []

    monkeypatch.setattr(Supervisor, "_settle", lambda self, now_s: looked.append(now_s) or [])
    for now_s in (1.0, 1.5, 2.0):
        assert supervisor.handle(Said("a", Beat(course="loaded")), now_s) == []
    assert not looked
    supervisor.handle(Tick(), 2.1)
    supervisor.members["a"].state = "adopted"  # of whom the first beat tells how far it is
    supervisor.handle(Said("a", Beat(course="ready")), 2.5)
    assert looked == [2.1, 2.5]


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_history(history: History) -> None:
    supervisor = Supervisor(PLAN)
    assert supervisor.begin(0) == BEGIN
    for now_s, event, expected in history:
        assert supervisor.handle(event, now_s) == expected, f"at {now_s} s, {event}"


@pytest.mark.parametrize(
    ("code", "words"),
    [(-11, "died: killed by SIGSEGV"), (-40, "died: killed by signal 40"), (3, "ended by itself with exit code 3")],
)
def test_last_words_name_the_signal_or_the_code(code: int, words: str) -> None:
    supervisor = Supervisor(PLAN)
    supervisor.begin(0)
    supervisor.handle(Exited("b", code), 1)
    assert supervisor.members["b"].error == words
