"""What becomes of the plan when a version on probation dies."""

from __future__ import annotations

import msgspec

from graph.changes import Probation
from graph.plan import Edge, Plan

from .test_replan import plan

A_B, B_D, D_C, B_C = (Edge(one, "out", other, "x") for one, other in ("ab", "bd", "dc", "bc"))
BEFORE = plan((A_B, B_C), "abc")
AFTER = plan((A_B, B_D, D_C), "abcd")  # d was put in between
TRIAL = Probation(("d",), BEFORE, AFTER, 10)


def other_depth(one: Plan) -> Plan:
    edges = tuple(msgspec.structs.replace(e, depth=7) if e.id == A_B.id else e for e in one.edges)
    return msgspec.structs.replace(one, edges=edges)


def test_all_becomes_what_it_was() -> None:
    assert TRIAL.back_from(AFTER, "d") == BEFORE


def test_what_has_changed_since_stays() -> None:
    assert TRIAL.back_from(other_depth(AFTER), "d") == other_depth(BEFORE)


def test_a_node_that_got_another_name_has_its_own_again() -> None:
    trial = Probation(("e",), BEFORE, plan((A_B, Edge("b", "out", "e", "x")), "abe"), 10)
    assert trial.back_from(other_depth(trial.after), "e") == other_depth(BEFORE)


def test_another_version_becomes_the_one_before() -> None:
    trial = Probation(("b",), BEFORE, plan((A_B, B_C), "abc", b={"model": "small"}), 10)
    assert trial.back_from(other_depth(trial.after), "b") == other_depth(BEFORE)


def test_what_others_rest_on_stays() -> None:
    assert TRIAL.back_from(plan((A_B, B_D, D_C, Edge("d", "out", "e", "x")), "abcde"), "d") is None
