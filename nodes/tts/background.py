"""One thread for an engine's blocking calls, so that the handler that waits for them can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


class EngineFailed(Exception):
    """What the engine raised, as its text says."""


LOOK_S = 0.01  # how often the handler looks up while the engine works


class Background:
    """Iterates over blocking iterators in a thread of its own."""

    def __init__(self, abort: Callable[[], None]) -> None:
        """`abort` makes a call that the thread is in end soon; the iterator that it belongs to is not asked again."""
        self._abort = abort
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")

    def run(self, blocks: Iterator[T]) -> Generator[T | None, None, None]:
        """What `blocks` gives, and None now and then while waiting for it. Closing it aborts the call in hand.

        :raises EngineFailed: `blocks` raised something.
        """
        while True:
            call = self._thread.submit(next, blocks, None)
            try:
                while not call.done():
                    wait([call], LOOK_S)
                    yield None
            finally:
                if not (call.done() or call.cancel()):
                    self._abort()
                    wait([call])
            try:
                block = call.result()
            except Exception as error:  # engines raise what they like
                raise EngineFailed(f"{type(error).__name__}: {error}") from error
            if block is None:
                return
            yield block

    def close(self) -> None:
        """Wait for the thread to end."""
        self._thread.shutdown()
