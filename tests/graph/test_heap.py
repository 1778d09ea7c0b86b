"""What the nursery does to its memory before it forks, and how it finds out what its children will run."""

from __future__ import annotations

from collections.abc import Callable

from graph.control import ControlClient
from graph.launchers.heap import gather
from graph.launchers.rehearsal import rehearse
from graph.links.hearing import Hearing
from graph.loop import Loop
from graph.supervisor import Supervisor


def outer(step: int) -> Callable[[int], list[int]]:
    """Adds."""
    return lambda start: [start + step + one for one in range(2)]


def never() -> None:
    return None


def test_a_gathered_function_does_what_it_did_with_a_copy_of_its_code() -> None:
    code, inner, other = outer.__code__, outer(1).__code__, never.__code__
    made = outer(1)
    gather(frozenset(id(one) for one in (code, inner)))
    assert outer.__code__ == code
    assert outer.__code__ is not code
    assert outer(2).__code__ is not inner
    assert outer(2).__code__ is made.__code__
    assert outer(2)(3) == [5, 6] == made(4)
    assert never.__code__ is other


def test_the_rehearsal_tells_what_a_node_runs() -> None:
    ran = rehearse()()
    for each in (Loop.__init__, Loop._handle, Loop.beat, Hearing.receive, ControlClient._run, ControlClient._received):
        assert id(each.__code__) in ran, f"a node did not come to {each.__qualname__}"
    assert id(Supervisor.__init__.__code__) not in ran
