"""A change of a running graph as histories: who said what, and what the supervisor then tells whom."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from graph.control import Absent, Beat, Drain, Drained, Ending, Failed, Hello, Loaded, Ready, Start, Stop
from graph.epoch import Epoch, scaled
from graph.events import (
    Action,
    Bury,
    ChangePlan,
    Event,
    Exited,
    Interrupted,
    Kill,
    Left,
    Said,
    Send,
    Spawn,
    StartNode,
    WriteEpoch,
)
from graph.handover import HandedOver, HandOver, Legacy, Position, Replan, Replanned, TakenOver, TakeOver
from graph.member import Found
from graph.plan import Plan
from graph.supervisor import Supervisor

from .test_epoch import PLAN

THREE = scaled(PLAN, "b", 3, (), 1)
UP = Epoch(1, scaled(PLAN, "b", 2, (), 1), before=PLAN)
DOWN = Epoch(1, scaled(THREE, "b", 2, (), 1), before=THREE)
STARTS = {"a": Position(0, {"a.out/05": 70})}
LEGACY = Legacy("b", 0, {"a": Position(0, {"a.out/05": 72})}, {"b.out/05": 40})


class Run:
    """A supervisor whose graph is in the middle of a change."""

    def __init__(self, epoch: Epoch) -> None:
        assert epoch.before is not None
        self.supervisor = Supervisor(epoch.before, jitter=lambda: 0.5)
        self.now_s = 0.0
        self.supervisor.begin(0)
        for id in list(self.supervisor.members):
            self.says(id, Loaded())
            self.says(id, Ready())
        self.did = self.happens(ChangePlan(epoch.plan, "it changes"))

    def happens(self, event: Event) -> list[Action]:
        self.now_s += 0.01
        self.did = self.supervisor.handle(event, self.now_s)
        return self.did

    def says(self, id: str, message: Any) -> list[Action]:
        return self.happens(Said(id, message))

    def meet(self, *ids: str, starts: dict[str, Position] | None = None) -> list[Action]:
        """They have read the plan; those that are new are ready."""
        for id in ids:
            if self.supervisor.members[id].state == "starting":
                self.says(id, Loaded())
                self.says(id, Ready())
            self.says(id, Replanned(1, starts or {}))
        return self.did

    @property
    def stage(self) -> str:
        assert self.supervisor.changes.transition is not None
        return self.supervisor.changes.transition.stage

    def told(self, kind: type) -> list[Any]:
        """Who was told such a thing just now, with the words."""
        return [(a.instance, a.message) for a in self.did if isinstance(a, Send) and isinstance(a.message, kind)]


def test_all_read_the_plan_and_who_is_new_is_started() -> None:
    run = Run(UP)
    assert WriteEpoch(UP) in run.did
    assert run.told(Replan) == [("a", Replan(1)), ("b", Replan(1))]
    assert Spawn("b.1") in run.did
    assert run.did.index(WriteEpoch(UP)) < run.did.index(Send("a", Replan(1))) < run.did.index(Spawn("b.1"))


def test_nothing_is_handed_over_before_all_have_met() -> None:
    run = Run(UP)
    run.meet("b.1", starts=STARTS)
    run.meet("a")
    assert run.stage == "meeting"
    run.meet("b")
    assert run.stage == "handing over"
    assert WriteEpoch(UP.commit()) in run.did
    assert ("b", HandOver(1, STARTS)) in run.told(HandOver)
    assert run.told(Start) == [("b.1", Start())]


def test_who_gains_goes_on_where_the_other_has_stopped_and_then_it_is_done() -> None:
    run = Run(UP)
    run.meet("a", "b", "b.1")
    run.says("b", HandedOver(1, LEGACY))
    assert run.told(TakeOver) == [("b.1", TakeOver(1, LEGACY, sorted(UP.share("b.1").gained)))]
    run.says("b.1", TakenOver(1, "b"))
    assert run.stage == "done"
    assert WriteEpoch(UP.settled()) in run.did
    assert run.told(Replan) == [("a", Replan(2)), ("b", Replan(2)), ("b.1", Replan(2))]
    assert run.supervisor.changes.epoch == UP.settled()


def test_who_leaves_drains_and_is_forgotten() -> None:
    run = Run(DOWN)
    run.meet("a", "b", "b.1", "b.2")
    for taker in DOWN.bequests["b.2"]:
        run.says("b.2", HandedOver(1, Legacy("b.2", 0)))
        run.says(taker, TakenOver(1, "b.2"))
    assert run.stage == "leaving"
    run.says("b.2", Drained())
    assert run.told(Stop) == [("b.2", Stop())]
    run.happens(Exited("b.2", 0))
    assert run.stage == "done"
    assert run.told(Absent) == [(id, Absent("b.2", final=True)) for id in ("a", "b", "b.1")]
    assert not [a for a in run.did if isinstance(a, Bury)]
    assert "b.2" not in run.supervisor.members


def test_who_leaves_and_does_not_is_killed() -> None:
    run = Run(DOWN)
    run.meet("a", "b", "b.1", "b.2")
    run.says("b.2", HandedOver(1, Legacy("b.2", 0)))
    run.says("b.2", Drained())
    for taker in DOWN.bequests["b.2"]:
        run.says(taker, TakenOver(1, "b.2"))
    killed = []
    for _ in range(2000):
        killed += [
            a
            for a in run.says("a", Beat()) + run.says("b.2", Beat()) + run.supervisor.handle(_tick(), run.now_s)
            if isinstance(a, Kill)
        ]
    assert killed[:2] == [Kill("b.2", signal.SIGTERM), Kill("b.2", signal.SIGKILL)]


def _tick() -> Event:
    from graph.events import Tick

    return Tick()


def test_who_dies_while_it_hands_over_has_left_its_numbers() -> None:
    run = Run(UP)
    run.meet("a", "b", "b.1")
    run.happens(Exited("b", -9))
    assert Bury("b", 0) in run.did
    run.happens(Left(LEGACY))
    assert run.told(TakeOver) == [("b.1", TakeOver(1, LEGACY, sorted(UP.share("b.1").gained)))]
    run.says("b.1", TakenOver(1, "b"))
    assert run.stage == "done"


def test_who_dies_while_it_leaves_is_not_started_again() -> None:
    run = Run(DOWN)
    run.meet("a", "b", "b.1", "b.2")
    run.happens(Exited("b.2", -9))
    assert Bury("b.2", 0) in run.did
    assert not [a for a in run.did if isinstance(a, Spawn)]
    run.happens(Left(Legacy("b.2", 0)))
    for taker in DOWN.bequests["b.2"]:
        run.says(taker, TakenOver(1, "b.2"))
    assert run.stage == "done"


def test_a_new_life_of_who_gains_is_told_again() -> None:
    run = Run(UP)
    run.meet("a", "b", "b.1")
    run.says("b", HandedOver(1, LEGACY))
    run.says("b.1", TakenOver(1, "b"))
    run = Run(UP)
    run.meet("a", "b", "b.1")
    run.says("b", HandedOver(1, LEGACY))
    run.happens(Exited("b.1", -9))
    assert Spawn("b.1", 1) in run.did
    run.says("b.1", Loaded())
    run.says("b.1", Replanned(1, STARTS))
    assert run.told(TakeOver) == [("b.1", TakeOver(1, LEGACY, sorted(UP.share("b.1").gained)))]


def test_whoever_was_not_there_to_hear_is_told_when_it_comes() -> None:
    run = Run(UP)
    assert run.says("a", Hello(1))[0] == Send("a", Replan(1))


@pytest.mark.parametrize("hears", [True, False])
def test_who_comes_and_cannot_load_changes_nothing(hears: bool) -> None:
    run = Run(UP)
    run.meet("a", "b")
    for _ in range(6):
        run.says("b.1", Failed("no model"))
        run.happens(Exited("b.1", 1))
        if run.stage == "undone":
            break
        run.now_s += 5
        run.supervisor.handle(_tick(), run.now_s)
    assert run.stage == "undone"
    assert WriteEpoch(UP.undone()) in run.did
    assert ("a", Absent("b.1", final=True)) in run.told(Absent)
    assert set(run.supervisor.members) == {"a", "b"}
    assert run.supervisor.plan == PLAN
    assert not run.told(HandOver)


def _fails(run: Run, id: str) -> None:
    """It dies until nobody starts it again; its last life has left numbers, as they all do."""
    for life in range(9):
        run.happens(Exited(id, -9))
        run.happens(Left(Legacy(id, life, LEGACY.heard)))
        if run.supervisor.members[id].state == "failed":
            return
        run.now_s += 5
        run.supervisor.handle(_tick(), run.now_s)
    raise AssertionError("it is started for ever")


def test_who_gives_and_failed_before_that_has_left_its_numbers() -> None:
    run = Run(UP)
    run.meet("b.1")
    _fails(run, "b")
    run.meet("a")
    (told,) = run.told(TakeOver)
    assert told == ("b.1", TakeOver(1, Legacy("b", 5, LEGACY.heard), sorted(UP.share("b.1").gained)))
    run.says("b.1", TakenOver(1, "b"))
    assert run.stage == "done"


def test_who_failed_and_is_there_again_hands_over_itself() -> None:
    run = Run(UP)
    run.meet("b.1")
    _fails(run, "b")
    run.happens(StartNode("b"))
    run.meet("a", "b")
    assert ("b", HandOver(1)) in run.told(HandOver)
    assert not run.told(TakeOver)


def test_who_leaves_and_failed_before_that_is_gone() -> None:
    run = Run(DOWN)
    run.meet("b", "b.1")
    _fails(run, "b.2")
    run.meet("a")
    assert run.stage == "handing over"
    for taker in DOWN.bequests["b.2"]:
        assert taker in [id for id, _ in run.told(TakeOver)] or run.stage != "handing over"
    for taker in DOWN.bequests["b.2"]:
        run.says(taker, TakenOver(1, "b.2"))
    assert run.stage == "done"
    assert "b.2" not in run.supervisor.members


def test_ctrl_c_undoes_what_has_not_been_handed_over() -> None:
    run = Run(UP)
    run.says("b.1", Loaded())
    run.happens(Interrupted())
    assert run.stage == "undone"
    assert ("b.1", Stop()) in run.told(Stop)
    assert ("a", Drain()) in run.told(Drain)
    run.happens(Exited("b.1", 0))
    assert "b.1" not in run.supervisor.members
    run.says("a", Drained())
    run.says("b", Drained())
    assert run.supervisor.phase == "leaving"


def test_who_is_still_loading_when_it_is_undone_hears_nothing_and_is_ended() -> None:
    run = Run(UP)
    run.happens(Interrupted())
    assert Kill("b.1", signal.SIGTERM) in run.did


def test_ctrl_c_waits_for_what_has_begun_to_be_handed_over() -> None:
    run = Run(UP)
    run.meet("a", "b", "b.1")
    run.happens(Interrupted())
    assert run.stage == "handing over"
    run.says("b", HandedOver(1, LEGACY))
    run.says("b.1", TakenOver(1, "b"))
    assert run.stage == "done"


def _succeeded(epoch: Epoch, file: Plan) -> Run:
    """Another supervisor, after the first was killed."""
    run = Run(epoch)
    run.supervisor = Supervisor(file)
    run.supervisor.adopt({i.id: Found(0, alive=True) for i in epoch.instances}, 0, epoch)
    return run


def test_who_left_while_there_was_no_supervisor_has_left_its_numbers() -> None:
    run = _succeeded(DOWN.commit(), THREE)
    run.supervisor = Supervisor(THREE)
    found = {i.id: Found(0, alive=i.id != "b.2") for i in DOWN.instances}
    run.supervisor.adopt(found, 0, DOWN.commit())
    for id in ("a", "b", "b.1"):
        run.says(id, Beat(course="running", life=0))
        run.says(id, Replanned(1))
    run.now_s += 1
    run.happens(_tick())
    assert Bury("b.2", 0) in run.did
    assert not [a for a in run.did if isinstance(a, Spawn)]
    run.happens(Left(Legacy("b.2", 0)))
    for taker in DOWN.bequests["b.2"]:
        run.says(taker, TakenOver(1, "b.2"))
    assert run.stage == "done"


def test_the_next_supervisor_goes_on_with_it() -> None:
    run = _succeeded(UP, PLAN)
    for id, course in (("a", "running"), ("b", "running"), ("b.1", "starting")):
        assert Send(id, Replan(1)) in run.says(id, Beat(course=course, life=0))
        run.says(id, Replanned(1))
    assert run.stage == "meeting", "the new one still loads"
    run = _succeeded(UP.commit(), PLAN)
    assert run.stage == "handing over"
    for id in ("a", "b", "b.1"):
        run.says(id, Beat(course="running", life=0))
        run.says(id, Replanned(1))
    assert ("b.1", HandOver(1)) in run.told(HandOver)


def test_who_comes_and_fails_when_there_is_another_supervisor_does_not_end_the_graph() -> None:
    run = _succeeded(UP, PLAN)
    run.says("b.1", Failed("there is no model"))
    run.happens(Exited("b.1", 1))
    assert run.supervisor.phase != "leaving", "it ran before"


def test_who_comes_may_have_finished_before_the_others_are_ready() -> None:
    run = Run(UP)
    run.meet("b.1")
    run.says("b.1", Ending())
    run.says("b.1", Drained())
    run.meet("a", "b")
    assert run.stage == "handing over"
    assert run.supervisor.members["b.1"].state == "drained"
