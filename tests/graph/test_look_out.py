from __future__ import annotations

from threading import Event, get_ident

import pytest

from graph.look_out import LookOut

PATIENCE_S = 30


def test_a_long_handler_is_looked_out_for_by_another_thread() -> None:
    looked = Event()
    by: list[int] = []

    def drain() -> None:
        by.append(get_ident())
        looked.set()

    look_out = LookOut(drain)
    look_out.handler_begins()
    assert looked.wait(PATIENCE_S)
    look_out.handler_ends()
    looks = len(by)
    assert get_ident() not in by
    look_out.close()
    assert len(by) == looks, "the loop has its sockets back"


def test_it_wakes_for_the_next_long_handler_when_it_has_gone_to_rest() -> None:
    looked = Event()
    look_out = LookOut(looked.set)
    rested = Event()
    while not look_out.resting:
        rested.wait(0.01)
    look_out.handler_begins()
    assert looked.wait(PATIENCE_S)
    look_out.handler_ends()
    look_out.close()


def test_a_drain_never_runs_beside_the_loop() -> None:
    inside = False
    beside: list[bool] = []
    look_out = LookOut(lambda: beside.append(inside))
    for _ in range(20_000):
        inside = False
        look_out.handler_begins()
        look_out.handler_ends()
        inside = True
    inside = False
    look_out.handler_begins()
    while not beside:
        pass
    look_out.handler_ends()
    look_out.close()
    assert not any(beside)


def test_what_goes_wrong_while_looking_out_is_the_node_s_own_failure() -> None:
    looked = Event()

    def drain() -> None:
        looked.set()
        raise ZeroDivisionError

    look_out = LookOut(drain)
    look_out.handler_begins()
    assert looked.wait(PATIENCE_S)
    with pytest.raises(ZeroDivisionError):
        look_out.handler_ends()
    look_out.close()
