"""What a running graph is ordered to do and cannot: the exact words."""

from __future__ import annotations

import msgspec

from graph.commands import Scale
from graph.differences import differences
from graph.orders import cannot_apply, refusal
from graph.plan import Plan
from graph.replan import next_step
from graph.supervisor import Supervisor

from .test_replan import plan

WITH_PROGRAM = "its neighbour 'c' is a program, which learns its links when it starts"


def with_program(live: Plan) -> Plan:
    nodes = tuple(msgspec.structs.replace(n, command=("./c",)) if n.name == "c" else n for n in live.nodes)
    return msgspec.structs.replace(live, nodes=nodes)


def running(live: Plan) -> Supervisor:
    supervisor = Supervisor(live)
    supervisor.phase = "running"
    return supervisor


def why_not(live: Plan, wanted: Plan, memory: int = 0, free: int = 2**40) -> str:
    taken = dict.fromkeys((i.id for i in live.instances), memory)
    answer = cannot_apply(running(live), wanted, differences(live, wanted), {**taken, "": free})
    return answer.error if answer is not None else ""


def test_neighbours_of_a_program_stay_who_they_are() -> None:
    live = with_program(plan())
    refused = refusal(running(live), Scale("b", 2))
    assert refused is not None
    assert refused.error == f"'b' cannot be scaled while it runs: {WITH_PROGRAM}"
    for change in ({"model": "small"}, {"replicas": 2}):
        assert why_not(live, with_program(plan(b=change))) == f"'b' cannot be changed while it runs: {WITH_PROGRAM}"
        assert next_step(live, with_program(plan(b=change)), (), 1) is None, "nor does the next supervisor try"
    for change in ({"speed": 2}, {"max": 4}):
        assert why_not(live, with_program(plan(b=change))) == "", "no process comes or goes"
    assert why_not(live, with_program(plan(a={"model": "small"}))) == "", "it is no neighbour"


def test_a_version_that_has_no_room_beside_the_other_is_refused_with_the_figures() -> None:
    told = "no room for another 'b' beside the one that runs: it takes 3 MB, 2 MB are free"
    assert why_not(plan(), plan(b={"model": "small"}), memory=3 * 2**20, free=2 * 2**20) == told
    assert why_not(plan(), plan(b={"speed": 2}), memory=3 * 2**20, free=2 * 2**20) == ""
