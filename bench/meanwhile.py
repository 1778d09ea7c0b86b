"""Something that goes on beside a run, in a thread of the bench."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def meanwhile(work: Callable[[Event], None]) -> Iterator[None]:
    """:param work: returns soon after the event is set."""
    ended = Event()
    thread = Thread(target=work, args=(ended,), name="meanwhile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
