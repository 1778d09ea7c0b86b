from __future__ import annotations

from nodes.sessions import Sessions


def test_of_too_many_the_one_unheard_of_for_longest_goes() -> None:
    sessions: Sessions[list[str]] = Sessions(list, most=2)
    for name in ("ann", "bob", "ann", "cid"):
        sessions.of(name).append(name)
    assert list(sessions.surplus()) == [("bob", ["bob"])]
    assert dict(sessions) == {"ann": ["ann", "ann"], "cid": ["cid"]}
    assert list(sessions.surplus()) == []
