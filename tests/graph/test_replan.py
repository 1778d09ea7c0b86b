"""What differs between two plans, in words, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from graph.differences import differences, renames
from graph.plan import Edge, Instance, Plan, PlannedNode, Resources, Restart
from graph.replan import NextStep, next_step, replaced, wanted_of

EDGES = (Edge("a", "out", "b", "x"), Edge("b", "out", "c", "x", link="queue"))
CHANGEABLE = ("speed",)


def plan(edges: Sequence[Edge] = EDGES, names: str = "abc", **nodes: dict[str, Any]) -> Plan:
    """Nodes as they are said, in a row where nothing else is said."""
    planned, instances = [], []
    for name in names:
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
                source=name in "af",
                restart=Restart(max=said.get("max", 5)),
                changeable=CHANGEABLE,
                replaceable=said.get("replaceable", True),
                command=said.get("command", ()),
            )
        )
        queues = [e for e in edges if e.link == "queue"]
        work = [f"ipc://{{run}}/{id}.work" if any(e.consumer == name for e in queues) else "" for id in ids]
        credit = [f"ipc://{{run}}/{id}.credit" if any(e.producer == name for e in queues) else "" for id in ids]
        instances += [Instance(id, name, k, f"ipc://{{run}}/{id}.out", work[k], credit[k]) for k, id in enumerate(ids)]
    return Plan("demo", "demo.yaml", tuple(planned), tuple(instances), tuple(edges))


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


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Some of six nodes, two of them sources, each other one fed by some that stand before it in the alphabet."""
    names = "".join(n for n in "abcdef" if n == "a" or draw(st.booleans()))
    edges = []
    for name in names:
        if name in "af":
            continue
        feeds = draw(st.sets(st.sampled_from([n for n in names if n < name or n == "f"]), min_size=1))
        edges += [
            Edge(feed, "out", name, f"from_{feed}", "queue" if feed in "bd" else "stream", draw(st.integers(1, 2)))
            for feed in sorted(feeds)
        ]
    return plan(edges, names, **{name: draw(said) for name in names})


def without_names(one: Plan) -> Any:
    nodes = [msgspec.structs.replace(n, instances=("",) * len(n.instances)) for n in one.nodes]
    instances = [(i.node, i.replica, bool(i.out)) for i in one.instances]
    return nodes, instances, one.edges


def check_step(live: Plan, step: NextStep, known: set[str]) -> None:
    """What a step may do."""
    ids = {i.id for i in live.instances}
    new = {i.id for i in step.plan.instances} - ids
    assert known.isdisjoint(new), "no name is given twice"
    old, now = ({n.name: n for n in p.nodes} for p in (live, step.plan))
    swapped = [n for n in old.keys() & now.keys() if ids.isdisjoint(now[n].instances)]
    assert len(swapped) <= 1, "of one node at most all processes are new"
    assert {*step.fresh} == {*swapped, *(now.keys() - old.keys())}
    for one in step.plan.instances:
        if one.id in ids:
            was = live.instance(one.id)
            assert (was.node, was.replica, was.out) == (one.node, one.replica, one.out), "who stays is who it was"
            assert was.work in ("", one.work)
            assert was.credit in ("", one.credit)
    for edge in step.plan.edges:
        assert {edge.producer, edge.consumer} <= now.keys(), "a link has two ends"
        if edge.link == "queue":
            assert all(i.work for i in step.plan.instances if i.node == edge.consumer)
            assert all(i.credit for i in step.plan.instances if i.node == edge.producer)
    coming = {e.id for e in step.plan.edges} - {e.id for e in live.edges}
    if step.renamed:
        return
    for id in coming:
        edge = next(e for e in step.plan.edges if e.id == id)
        ends = {edge.producer, edge.consumer}
        assert not (ends & set(swapped)) or ends <= old.keys(), "what is new does not begin beside what is exchanged"


@given(plans(), plans())
def test_step_by_step_one_becomes_the_other(live: Plan, wanted: Plan) -> None:
    known = {i.id for i in live.instances}
    for number in range(1, 40):
        step = next_step(live, wanted, known, number)
        if step is None:
            break
        check_step(live, step, known)
        known |= {i.id for i in step.plan.instances}
        live = step.plan
    assert next_step(live, wanted, known, 99) is None
    assert without_names(live) == without_names(wanted)
    assert differences(live, wanted) == []


@given(plans(), plans())
def test_what_comes_is_there_before_anything_goes(live: Plan, wanted: Plan) -> None:
    """A link that is in both plans is there all the time."""
    known = {i.id for i in live.instances}
    for old, new in renames(live, wanted).items():
        assume(old == new)
    both = {e.id for e in live.edges} & {e.id for e in wanted.edges}
    for number in range(1, 40):
        step = next_step(live, wanted, known, number)
        if step is None:
            break
        assert both <= {e.id for e in step.plan.edges}
        known |= {i.id for i in step.plan.instances}
        live = step.plan


@given(plans(), plans())
def test_who_goes_hears_all_it_heard_until_it_goes(live: Plan, wanted: Plan) -> None:
    known = {i.id for i in live.instances}
    going = {n.name for n in live.nodes} - {n.name for n in wanted.nodes} - renames(live, wanted).keys()
    for number in range(1, 40):
        step = next_step(live, wanted, known, number)
        if step is None:
            break
        there = {n.name for n in step.plan.nodes}
        lost = {e.id: e for e in live.edges}.keys() - {e.id for e in step.plan.edges}
        for edge in live.edges:
            if edge.id in lost and edge.consumer in going & there:
                assert edge.producer not in there or step.renamed, edge.id
        known |= {i.id for i in step.plan.instances}
        live = step.plan


@given(plans(), plans())
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
    kept = msgspec.structs.replace(EDGES[1], delivery="at_least_once")
    wanted = msgspec.structs.replace(plan((EDGES[0], kept)), orphan_after_s=5)
    assert [(d.where, d.text, d.applies) for d in differences(live, wanted)] == [
        ("", "orphan_after: 30.0 -> 5", False),
        ("b.out->c.x", "delivery: at_most_once -> at_least_once", False),
    ]
    assert next_step(live, wanted, (), 1) is None
    fixed = plan(c={"replaceable": False})
    assert [d.applies for d in differences(fixed, plan(c={"replaceable": False, "model": "small"}))] == [False]
    assert [d.applies for d in differences(fixed, plan(c={"replaceable": False, "speed": 2}))] == [True]
    assert next_step(fixed, plan(c={"replaceable": False, "model": "small"}), (), 1) is None


def test_nodes_and_links_that_come_and_go_are_told() -> None:
    live = plan((EDGES[0],), "ab")
    wanted = plan((Edge("a", "out", "d", "x"),), "ad")
    lines = [(d.where, d.text, d.applies) for d in differences(live, wanted)]
    assert lines == [("d", "was 'b'", True)]
    step = next_step(live, wanted, {"a", "b"}, 1)
    assert step is not None
    assert (step.text, step.renamed, step.fresh) == ("'b' is called 'd'", {"b": "d"}, ("d",))
    other = plan((Edge("a", "out", "d", "x"),), "ad", d={"use": "x.z"})
    assert [(d.where, d.text, d.applies) for d in differences(live, other)] == [
        ("d", "new: x.z", True),
        ("b", "removed", True),
        ("a.out->d.x", "new", True),
        ("a.out->b.x", "removed", True),
    ]
    step = next_step(live, other, {"a", "b"}, 1)
    assert step is not None
    assert step.text == "'d' comes, 'b' goes"
    assert next_step(step.plan, other, {"a", "b", "d"}, 2) is None


def test_a_second_input_from_the_same_stream_cannot_come_while_both_run() -> None:
    wanted = plan((*EDGES, Edge("a", "out", "b", "y")))
    assert [(d.where, d.applies) for d in differences(plan(), wanted)] == [("a.out->b.y", False)]
    assert next_step(plan(), wanted, (), 1) is None


def test_a_link_is_adjusted_while_it_is_used() -> None:
    wanted = plan((msgspec.structs.replace(EDGES[0], depth=5), EDGES[1]))
    assert [(d.where, d.text, d.applies) for d in differences(plan(), wanted)] == [("a.out->b.x", "depth: 1000 -> 5", True)]
    step = next_step(plan(), wanted, (), 1)
    assert step is not None
    assert (step.plan.edges, step.text) == (wanted.edges, "a.out->b.x changes")


def test_programs_and_their_neighbours_stay_as_they_are() -> None:
    live = plan((EDGES[0],), "ab", b={"command": ("x",)})
    wanted = plan((EDGES[0], Edge("b", "out", "c", "x")), "abc", b={"command": ("x",)})
    assert [(d.where, d.applies) for d in differences(live, wanted)] == [("c", False), ("b.out->c.x", False)]
    assert next_step(live, wanted, (), 1) is None


def test_replicas_that_an_edit_did_not_touch_stay() -> None:
    before, live = plan(), plan(b={"replicas": 3})
    assert differences(live, wanted_of(live, before, plan(b={"model": "small"}))) == differences(
        live, plan(b={"replicas": 3, "model": "small"})
    )
    assert len(wanted_of(live, before, plan(b={"replicas": 2})).node("b").instances) == 2
