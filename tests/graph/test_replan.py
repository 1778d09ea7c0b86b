"""What differs between two plans, in words, and the way from one to the other."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from graph.plan import Edge, Instance, Plan, PlannedNode, Resources, Restart
from graph.replan import differences, next_step, replaced, wanted_of

EDGES = (Edge("a", "out", "b", "x"), Edge("b", "out", "c", "x", link="queue"))
CHANGEABLE = ("speed",)


def plan(**nodes: dict[str, Any]) -> Plan:
    """Three nodes in a row, as they are said."""
    planned, instances = [], []
    for name in "abc":
        said = {"replicas": 1, "use": "x.y", **nodes.get(name, {})}
        ids = tuple([name] if said["replicas"] == 1 else [f"{name}.{k}" for k in range(said["replicas"])])
        planned.append(
            PlannedNode(
                name,
                said["use"],
                "x:Y",
                {"model": said.get("model", "base"), "speed": said.get("speed", 1)},
                ids,
                Resources(nice=said.get("nice", 0)),
                source=name == "a",
                restart=Restart(max=said.get("max", 5)),
                changeable=CHANGEABLE,
                replaceable=said.get("replaceable", True),
            )
        )
        instances += [Instance(id, name, k, out=f"ipc://{{run}}/{id}.out") for k, id in enumerate(ids)]
    return Plan("demo", "demo.yaml", tuple(planned), tuple(instances), EDGES)


said = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(1, 3),
        "model": st.sampled_from(["base", "small"]),
        "speed": st.integers(1, 2),
        "nice": st.integers(0, 1),
        "max": st.integers(4, 5),
        "use": st.sampled_from(["x.y", "x.z"]),
    },
)
plans = st.fixed_dictionaries({}, optional=dict.fromkeys("abc", said)).map(lambda nodes: plan(**nodes))


def without_names(one: Plan) -> Any:
    nodes = [msgspec.structs.replace(n, instances=("",) * len(n.instances)) for n in one.nodes]
    return nodes, [(i.node, i.replica) for i in one.instances], one.edges


@given(plans, plans)
def test_step_by_step_one_becomes_the_other(live: Plan, wanted: Plan) -> None:
    known = {i.id for i in live.instances}
    for number in range(1, 20):
        step = next_step(live, wanted, known, number)
        if step is None:
            break
        before = {n.name: n for n in live.nodes}
        assert [n.name for n in step.plan.nodes if n != before[n.name]] == [step.node], "one node a step"
        kept = [i for i in live.instances if i.node != step.node]
        assert [i for i in step.plan.instances if i.node != step.node] == kept
        new = {i.id for i in step.plan.instances} - {i.id for i in live.instances}
        assert known.isdisjoint(new), "no name is given twice"
        if step.replaces:
            assert new == set(step.plan.node(step.node).instances), "all of it is new"
        else:
            had, have = before[step.node].instances, step.plan.node(step.node).instances
            assert have[: len(had)] == had[: len(have)], "who stays is who it was"
        known |= new
        live = step.plan
    assert next_step(live, wanted, known, 99) is None
    assert without_names(live) == without_names(wanted)
    assert differences(live, wanted) == []


@given(plans, plans)
def test_what_differs_is_told_and_what_is_told_differs(one: Plan, other: Plan) -> None:
    assert (differences(one, other) == []) == (without_names(one) == without_names(other))
    assert {d.where for d in differences(one, other)} >= set(replaced(one, other))


def test_the_lines() -> None:
    live = plan(b={"model": "base", "max": 5})
    wanted = plan(b={"model": "small", "max": 3, "replicas": 2, "nice": 1, "use": "x.z"})
    assert [(d.where, d.text) for d in differences(live, wanted)] == [
        ("b", "use: x.y -> x.z"),
        ("b", "model: base -> small"),
        ("b", "resources.nice: 0 -> 1"),
        ("b", "replicas: 1 -> 2"),
        ("b", "restart.max: 5 -> 3"),
    ]


def test_what_takes_a_new_start_is_told_and_left_alone() -> None:
    live = plan()
    wanted = msgspec.structs.replace(plan(), edges=EDGES[:1], orphan_after_s=5)
    assert [(d.where, d.text, d.applies) for d in differences(live, wanted)] == [
        ("", "orphan_after: 30.0 -> 5", False),
        ("b.out->c.x", "removed", False),
    ]
    fixed = plan(c={"replaceable": False})
    assert [d.applies for d in differences(fixed, plan(c={"replaceable": False, "model": "small"}))] == [False]
    assert [d.applies for d in differences(fixed, plan(c={"replaceable": False, "speed": 2}))] == [True]
    assert next_step(fixed, plan(c={"replaceable": False, "model": "small"}), (), 1) is None


def test_replicas_that_an_edit_did_not_touch_stay() -> None:
    before, live = plan(), plan(b={"replicas": 3})
    assert differences(live, wanted_of(live, before, plan(b={"model": "small"}))) == differences(
        live, plan(b={"replicas": 3, "model": "small"})
    )
    assert len(wanted_of(live, before, plan(b={"replicas": 2})).node("b").instances) == 2
