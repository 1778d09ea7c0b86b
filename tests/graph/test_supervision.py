"""Deaths, restarts, fallbacks, health and orders as histories of the supervisor: each names the transition it is about.

The graph is src -> mid -> out, of which `mid` is what the histories are about.
"""

from __future__ import annotations

import signal
from typing import Any

import msgspec
import pytest

from graph.control import Absent, Beat, Drain, Drained, Ending, Expected, Failed, Hello, Loaded, Ready, Start, Stop
from graph.events import (
    Action,
    Bury,
    Event,
    Exited,
    Finish,
    Interrupted,
    Kill,
    Measured,
    Said,
    Send,
    Spawn,
    StartNode,
    StopNode,
    Tell,
    Tick,
)
from graph.member import Found
from graph.plan import Edge, Instance, Plan, PlannedNode, Resources, Restart
from graph.supervisor import LEAVE_WITHIN_S, Supervisor

NAMES = ("src", "mid", "out")
History = list[tuple[float, Event, list[Action]]]


def plan(**of_mid: Any) -> Plan:
    """src -> mid -> out; `of_mid` is what the file says of mid."""
    nodes = [PlannedNode(n, "x:Y", "x:Y", {}, (n,), source=n == "src", start_within_s=60) for n in NAMES]
    nodes[1] = msgspec.structs.replace(nodes[1], **of_mid)
    edges = (Edge("src", "o", "mid", "i"), Edge("mid", "o", "out", "i"))
    return Plan("g", "g.yaml", tuple(nodes), tuple(Instance(n, n) for n in NAMES), edges)


def supervised(history: History, graph: Plan, until_running: bool = True) -> Supervisor:
    """Let a history happen, and see that each event leads to what it says."""
    supervisor = Supervisor(graph, jitter=lambda: 0.0)
    supervisor.begin(0)
    for name in NAMES if until_running else ():
        supervisor.handle(Said(name, Loaded()), 0)
    for name in NAMES if until_running else ():
        supervisor.handle(Said(name, Ready()), 0)
    for at_s, event, expected in history:
        for name in NAMES:  # everybody else is heard all the time
            if event == Tick() and name != "mid":
                supervisor.handle(Said(name, Beat()), at_s)
        assert supervisor.handle(event, at_s) == expected, f"at {at_s} s, {event}"
    return supervisor


def to(message: Any, *names: str) -> list[Action]:
    return [Send(name, message) for name in names or NAMES]


def warned(text: str) -> Tell:
    return Tell("warning", text, "mid")


def died(at_s: float, life: int, wait: str, count: str, code: int = -9) -> tuple[float, Event, list[Action]]:
    """mid dies and is started again, now or later."""
    why = "died: killed by SIGKILL" if code == -9 else f"ended by itself with exit code {code}"
    told = warned(f"{why}; starting again {wait} ({count})")
    return at_s, Exited("mid", code), [Bury("mid", life), told, *([Spawn("mid", life + 1)] if wait == "now" else [])]


def back(at_s: float, life: int) -> History:
    """mid is ready again."""
    again = [Send("mid", Start()), Tell("info", f"running again (life {life})", "mid")]
    return [(at_s, Said("mid", Loaded()), []), (at_s, Said("mid", Ready()), again)]


FAILED = "has failed: died: killed by SIGKILL; the rest of the graph goes on"
ONCE = Restart(max=1, within_s=60)
BY_HAND = "(`graph restart mid` tries again)"

RESTARTS: dict[str, tuple[dict[str, Any], History]] = {
    "the first death: at once": ({}, [died(1, 0, "now", "1 of 5 in 60 s"), *back(2, 1)]),
    "later deaths: backoff, twice as long each time, up to its longest": (
        {"restart": Restart(backoff_s=(1.0, 3.0))},
        [
            died(1, 0, "now", "1 of 5 in 60 s"),
            died(2, 1, "in 1.0 s", "2 of 5 in 60 s"),
            (2.9, Tick(), []),
            (3, Tick(), [Spawn("mid", 2)]),
            died(4, 2, "in 2.0 s", "3 of 5 in 60 s"),
            (6, Tick(), [Spawn("mid", 3)]),
            died(7, 3, "in 3.0 s", "4 of 5 in 60 s"),
        ],
    ),
    "deaths outside the window are forgotten": (
        {"restart": ONCE},
        [died(1, 0, "now", "1 of 1 in 60 s"), *back(2, 1), died(62, 1, "now", "1 of 1 in 60 s")],
    ),
    "too many: the circuit opens, said once, and the rest goes on": (
        {"restart": ONCE},
        [
            died(1, 0, "now", "1 of 1 in 60 s"),
            (
                2,
                Exited("mid", -9),
                [Bury("mid", 1), Tell("error", f"{FAILED} {BY_HAND}", "mid"), *to(Absent("mid"), "src", "out")],
            ),
            (3, Tick(), []),
        ],
    ),
    "never: the first death opens it": (
        {"restart": Restart("never")},
        [
            (
                1,
                Exited("mid", -9),
                [Bury("mid", 0), Tell("error", f"{FAILED} {BY_HAND}", "mid"), *to(Absent("mid"), "src", "out")],
            )
        ],
    ),
    "on_failure: an end by itself with code 0 is no failure, and not repeated": (
        {},
        [
            (
                1,
                Exited("mid", 0),
                [
                    Bury("mid", 0),
                    Tell(
                        "error",
                        f"has failed: ended by itself with exit code 0; the rest of the graph goes on {BY_HAND}",
                        "mid",
                    ),
                    *to(Absent("mid"), "src", "out"),
                ],
            )
        ],
    ),
    "always: an end with code 0 too": ({"restart": Restart("always")}, [died(1, 0, "now", "1 of 5 in 60 s", code=0)]),
    "what a node said last is why it died": (
        {},
        [
            (1, Said("mid", Failed("no camera")), []),
            (1, Exited("mid", 1), [Bury("mid", 0), warned("no camera; starting again now (1 of 5 in 60 s)"), Spawn("mid", 1)]),
        ],
    ),
    "critical: the graph ends, cleanly": (
        {"restart": Restart("never"), "critical": True},
        [
            (
                1,
                Exited("mid", -9),
                [Bury("mid", 0), Tell("error", "died: killed by SIGKILL", "mid"), *to(Stop(), "src", "out")],
            ),
            (2, Exited("src", 0), []),
            (2, Exited("out", 0), [Finish(1)]),
        ],
    ),
    "not ready again in time: ended, and that is a death": (
        {},
        [
            died(1, 0, "now", "1 of 5 in 60 s"),
            (60.9, Tick(), []),
            (61, Tick(), [Kill("mid", signal.SIGKILL)]),
            (
                61,
                Exited("mid", -9),
                [
                    Bury("mid", 1),
                    warned("not ready within 60 s; starting again now (1 of 5 in 60 s)"),
                    Spawn("mid", 2),
                ],
            ),
        ],
    ),
    "who has failed is not waited for: the graph drains without it, exit 1": (
        {"restart": Restart("never")},
        [
            (
                1,
                Exited("mid", -9),
                [Bury("mid", 0), Tell("error", f"{FAILED} {BY_HAND}", "mid"), *to(Absent("mid"), "src", "out")],
            ),
            (2, Said("src", Ending()), to(Absent("mid", final=True), "src", "out")),
            (2, Said("src", Drained()), []),
            (3, Said("out", Drained()), to(Stop(), "src", "out")),
            (4, Exited("src", 0), []),
            (4, Exited("out", 0), [Finish(1)]),
        ],
    ),
}
RETRY = Restart(max=1, within_s=60, retry_after_s=30)
OPEN: History = [
    died(1, 0, "now", "1 of 1 in 60 s"),
    (
        2,
        Exited("mid", -9),
        [Bury("mid", 1), Tell("error", f"{FAILED} (next try in 30 s)", "mid"), *to(Absent("mid"), "src", "out")],
    ),
]
TRIED: list[Action] = [Tell("info", "is tried again", "mid"), *to(Expected("mid"), "src", "out"), Spawn("mid", 2)]
FALLBACK = PlannedNode("mid", "z:Z", "z:Z", {}, ("small",))
STAND_IN = Tell("error", "has failed: died: killed by SIGKILL; its fallback takes its place", "mid")

CIRCUITS: dict[str, tuple[dict[str, Any], History]] = {
    "half-open: tried again after a while": ({"restart": RETRY}, [*OPEN, (31, Tick(), []), (32, Tick(), TRIED)]),
    "half-open, and it dies: open again, at once": (
        {"restart": RETRY},
        [
            *OPEN,
            (32, Tick(), TRIED),
            (
                33,
                Exited("mid", -9),
                [Bury("mid", 2), Tell("error", f"{FAILED} (next try in 30 s)", "mid"), *to(Absent("mid"), "src", "out")],
            ),
            (62.9, Tick(), []),
        ],
    ),
    "half-open, and it lives for the window: closed": (
        {"restart": RETRY},
        [
            *OPEN,
            (32, Tick(), TRIED),
            *back(33, 2),
            (93, Said("mid", Beat()), []),
            (93, Tick(), [Tell("info", "has recovered", "mid")]),
            died(94, 2, "now", "1 of 1 in 60 s"),
        ],
    ),
    "a fallback takes its place": (
        {"restart": Restart("never"), "fallback": FALLBACK},
        [
            (1, Exited("mid", -9), [Bury("mid", 0), STAND_IN, Spawn("mid", 1, fallback=True)]),
            (2, Said("mid", Loaded()), []),
            (2, Said("mid", Ready()), [Send("mid", Start()), Tell("info", "its fallback is running (life 1)", "mid")]),
        ],
    ),
    "a fallback hands back when the first is tried again": (
        {"restart": Restart("never", retry_after_s=30), "fallback": FALLBACK},
        [
            (1, Exited("mid", -9), [Bury("mid", 0), STAND_IN, Spawn("mid", 1, fallback=True)]),
            (2, Said("mid", Loaded()), []),
            (2, Said("mid", Ready()), [Send("mid", Start()), Tell("info", "its fallback is running (life 1)", "mid")]),
            (30, Said("mid", Beat()), []),
            (31, Tick(), [Tell("info", "is tried again; its fallback leaves", "mid"), Send("mid", Stop())]),
            (31.5, Exited("mid", 0), [Bury("mid", 1), Spawn("mid", 2)]),
            *back(32, 2),
        ],
    ),
    "a fallback that dies has its own count": (
        {"restart": ONCE, "fallback": FALLBACK},
        [
            died(1, 0, "now", "1 of 1 in 60 s"),
            (2, Exited("mid", -9), [Bury("mid", 1), STAND_IN, Spawn("mid", 2, fallback=True)]),
            (
                3,
                Exited("mid", -9),
                [
                    Bury("mid", 2),
                    warned("died: killed by SIGKILL; starting again now (1 of 1 in 60 s)"),
                    Spawn("mid", 3, fallback=True),
                ],
            ),
            (
                4,
                Exited("mid", -9),
                [Bury("mid", 3), Tell("error", f"{FAILED} {BY_HAND}", "mid"), *to(Absent("mid"), "src", "out")],
            ),
        ],
    ),
}
SILENT = "unresponsive: it is ended after 30 s of silence"

HEALTH: dict[str, tuple[dict[str, Any], History]] = {
    "silence: unresponsive, and back": (
        {},
        [
            (1, Said("mid", Beat()), []),
            (1, Tick(), []),
            (2, Tick(), []),
            (3.6, Tick(), [warned(SILENT)]),
            (4, Said("mid", Beat()), []),
            (4, Tick(), [Tell("info", "answers again", "mid")]),
        ],
    ),
    "silence: dead": (
        {},
        [
            *[(float(s), Tick(), [warned(SILENT)] if s == 3 else []) for s in range(1, 30)],
            (30, Tick(), [Kill("mid", signal.SIGKILL)]),
            (
                30,
                Exited("mid", -9),
                [
                    Bury("mid", 0),
                    warned("no sign of life for 30 s; starting again now (1 of 5 in 60 s)"),
                    Spawn("mid", 1),
                ],
            ),
        ],
    ),
    "a supervisor that was stopped itself blames nobody": ({}, [(1, Tick(), []), (100, Tick(), []), (101, Tick(), [])]),
    "busy is not hung where the file does not say so": ({}, [(1, Said("mid", Beat(busy_ms=60_000)), []), (1, Tick(), [])]),
    "hung: ended": (
        {"hang_after_s": 5},
        [
            (1, Said("mid", Beat(busy_ms=4900)), []),
            (1, Tick(), []),
            (2, Said("mid", Beat(busy_ms=5400)), []),
            (2, Tick(), [Kill("mid", signal.SIGKILL)]),
            (
                2,
                Exited("mid", -9),
                [
                    Bury("mid", 0),
                    warned("hung: its handler made no progress for 5.4 s; starting again now (1 of 5 in 60 s)"),
                    Spawn("mid", 1),
                ],
            ),
        ],
    ),
    "a late beat of a former life says nothing": (
        {"hang_after_s": 5},
        [died(1, 0, "now", "1 of 5 in 60 s"), *back(2, 1), (2, Said("mid", Beat(life=0, busy_ms=9000)), []), (2, Tick(), [])],
    ),
    "too much memory: ended, with the figures": (
        {"resources": Resources(max_rss=100 * 2**20)},
        [
            (1, Measured("mid", 100 * 2**20), []),
            (1, Measured("mid", 150 * 2**20), [Kill("mid", signal.SIGKILL)]),
            (1, Measured("mid", 151 * 2**20), []),
            (
                1,
                Exited("mid", -9),
                [
                    Bury("mid", 0),
                    warned("150 MB are more than max_rss, 100 MB; starting again now (1 of 5 in 60 s)"),
                    Spawn("mid", 1),
                ],
            ),
        ],
    ),
}
STOPPED: History = [
    (1, StopNode("mid"), [Send("mid", Stop())]),
    (2, Exited("mid", 0), [Bury("mid", 0), Tell("info", "stopped", "mid"), *to(Absent("mid"), "src", "out")]),
]

ORDERS: dict[str, tuple[dict[str, Any], History]] = {
    "stop a node": ({}, STOPPED),
    "start it again": (
        {},
        [*STOPPED, (3, StartNode("mid"), [*to(Expected("mid"), "src", "out"), Spawn("mid", 1)]), *back(4, 1)],
    ),
    "restart: it leaves and comes back, and that is no death": (
        {"restart": Restart("never")},
        [
            (1, StopNode("mid", again=True), [Send("mid", Stop())]),
            (2, Exited("mid", 0), [Bury("mid", 0), Spawn("mid", 1)]),
            *back(3, 1),
        ],
    ),
    "a node that does not leave when it is told to: SIGTERM, then SIGKILL": (
        {},
        [
            (1, StopNode("mid"), [Send("mid", Stop())]),
            (1 + LEAVE_WITHIN_S, Tick(), [warned("has not left within 5 s: SIGTERM"), Kill("mid", signal.SIGTERM)]),
            (1 + 2 * LEAVE_WITHIN_S, Tick(), [warned("has not left within 5 s: SIGKILL"), Kill("mid", signal.SIGKILL)]),
        ],
    ),
    "restart closes the circuit": (
        {"restart": Restart("never")},
        [
            (
                1,
                Exited("mid", -9),
                [Bury("mid", 0), Tell("error", f"{FAILED} {BY_HAND}", "mid"), *to(Absent("mid"), "src", "out")],
            ),
            (2, StopNode("mid", again=True), [*to(Expected("mid"), "src", "out"), Spawn("mid", 1)]),
        ],
    ),
    "Ctrl-C with a stopped node: nobody waits for it, exit 0": (
        {},
        [
            *STOPPED,
            (3, Interrupted(), [Tell("info", "draining (Ctrl-C again stops at once)"), *to(Drain(), "src", "out")]),
            (3, Said("src", Ending()), to(Absent("mid", final=True), "src", "out")),
            (3, Said("src", Drained()), []),
            (4, Said("out", Drained()), to(Stop(), "src", "out")),
            (4, Exited("src", 0), []),
            (4, Exited("out", 0), [Finish(0)]),
        ],
    ),
}

ALL = {**RESTARTS, **CIRCUITS, **HEALTH, **ORDERS}


@pytest.mark.parametrize(("of_mid", "history"), ALL.values(), ids=ALL)
def test_history(of_mid: dict[str, Any], history: History) -> None:
    supervised(history, plan(**of_mid))


@pytest.mark.parametrize(
    ("code", "again"),
    [(-9, True), (1, False)],
    ids=["killed while loading: started again", "failed while loading: the graph ends"],
)
def test_a_death_before_the_graph_runs(code: int, again: bool) -> None:
    supervisor = Supervisor(plan())
    supervisor.begin(0)
    actions = supervisor.handle(Exited("mid", code), 1)
    assert (Spawn("mid", 1) in actions) == again
    assert (supervisor.phase == "leaving") == (not again)


def test_with_policy_always_a_graph_starts_though_a_node_cannot() -> None:
    supervisor = Supervisor(plan(restart=Restart("always", max=1)), jitter=lambda: 0.0)
    supervisor.begin(0)
    for life in range(2):
        supervisor.handle(Said("mid", Failed("no device")), 1)
        actions = supervisor.handle(Exited("mid", 1), 1)
        assert (Spawn("mid", 1) in actions) == (life == 0)
    for name in ("src", "out"):
        supervisor.handle(Said(name, Loaded()), 2)
    supervisor.handle(Said("src", Ready()), 2)
    assert supervisor.handle(Said("out", Ready()), 2) == [*to(Start(), "src", "out"), Tell("info", "running")]
    assert supervisor.failures == {"mid": "no device"}


def test_a_node_that_cannot_start_and_has_a_fallback_does_not_end_the_graph() -> None:
    supervisor = Supervisor(plan(restart=Restart("never"), fallback=FALLBACK))
    supervisor.begin(0)
    supervisor.handle(Said("mid", Failed("no network")), 1)
    assert Spawn("mid", 1, fallback=True) in supervisor.handle(Exited("mid", 1), 1)


def test_who_has_come_back_is_no_failure_and_its_next_death_has_its_own_reason() -> None:
    history: History = [
        (1, Said("mid", Failed("no camera")), []),
        (1, Exited("mid", 1), [Bury("mid", 0), warned("no camera; starting again now (1 of 5 in 60 s)"), Spawn("mid", 1)]),
        *back(2, 1),
        died(3, 1, "in 0.1 s", "2 of 5 in 60 s"),
    ]
    supervisor = supervised(history, plan())
    assert supervisor.failures == {}


def test_a_crash_while_leaving_is_told_of_one_that_had_come_back() -> None:
    supervisor = supervised([died(1, 0, "now", "1 of 5 in 60 s"), *back(2, 1)], plan())
    for name in NAMES:
        supervisor.handle(Said(name, Drained()), 3)
    assert supervisor.handle(Exited("mid", -11), 4) == [Tell("error", "died: killed by SIGSEGV", "mid")]
    assert supervisor.failures == {"mid": "died: killed by SIGSEGV"}


def test_after_waits_until_the_other_has_loaded() -> None:
    supervisor = Supervisor(plan(after=("out",)))
    assert supervisor.begin(0) == [Spawn("src"), Spawn("out")]
    assert supervisor.handle(Said("src", Loaded()), 1) == []
    assert supervisor.handle(Said("out", Loaded()), 2) == [Spawn("mid")]


def test_who_comes_later_hears_who_is_absent() -> None:
    supervisor = supervised(RESTARTS["never: the first death opens it"][1], plan(restart=Restart("never")))
    assert supervisor.handle(Said("out", Hello(5)), 3) == [Send("out", Absent("mid"))]


class TestAdoption:
    FOUND = {"src": Found(0, True), "mid": Found(2, True), "out": Found(0, False)}  # noqa: RUF012

    def adopted(self) -> Supervisor:
        supervisor = Supervisor(plan(), jitter=lambda: 0.0)
        assert supervisor.adopt(self.FOUND, 0) == [Tell("info", "took over 2 running processes")]
        return supervisor

    def test_who_lives_says_how_far_it_is_and_who_died_is_started_again(self) -> None:
        supervisor = self.adopted()
        assert supervisor.handle(Said("src", Beat(life=0, course="running")), 0.1) == []
        assert supervisor.phase == "running"
        assert supervisor.handle(Tick(), 0.1) == [], "nobody is started whose death mid could not hear of"
        assert supervisor.handle(Said("mid", Beat(life=2, course="running")), 0.2) == []
        assert supervisor.handle(Tick(), 0.3) == [Bury("out", 0), Spawn("out", 1)]

    def test_a_graph_that_was_still_starting_starts(self) -> None:
        supervisor = self.adopted()
        assert supervisor.handle(Said("src", Beat(life=0, course="ready")), 0.1) == []
        assert supervisor.handle(Said("mid", Beat(life=2, course="loaded")), 0.1) == []
        assert supervisor.handle(Tick(), 0.2) == [Bury("out", 0), Spawn("out", 1)]
        assert supervisor.handle(Said("mid", Ready()), 0.3) == []
        supervisor.handle(Said("out", Loaded()), 0.4)
        assert supervisor.handle(Said("out", Ready()), 0.5)[-1] == Tell("info", "running")

    def test_who_was_draining_goes_on_doing_so(self) -> None:
        supervisor = self.adopted()
        supervisor.handle(Said("src", Beat(life=0, course="ending", draining=True)), 0.1)
        assert supervisor.phase == "draining"

    def test_who_never_speaks_is_ended(self) -> None:
        supervisor = self.adopted()
        supervisor.handle(Said("src", Beat(life=0, course="running")), 0.1)
        kills = [a for s in range(1, 62) for a in supervisor.handle(Tick(), s) if isinstance(a, Kill)]
        assert Kill("mid", signal.SIGKILL) in kills
