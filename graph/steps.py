"""What a handler may return (a message, a generator, a coroutine, an async generator), made into one iterator of steps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import cast

from graph.node import Handled, Outgoing, Step


def steps(handled: Handled, runner: asyncio.Runner | None = None) -> Iterator[Step]:
    """Iterate over what a handler says. Closing the iterator closes the handler.

    `async` handlers run on `runner`'s loop, one step at a time.

    :raises TypeError: the handler returned something that is not a step.
    """
    if handled is None or isinstance(handled, Outgoing):
        return iter((handled,) if handled else ())
    if inspect.isawaitable(handled) or isinstance(handled, AsyncIterator):
        if runner is None:
            raise TypeError("an async handler needs a runner")
        return _async_steps(handled, runner)
    if isinstance(handled, Iterator):
        return handled
    raise TypeError(f"a handler returned {type(handled).__name__}; it may return a message, yield some, or be async")


def _async_steps(handled: Handled, runner: asyncio.Runner) -> Iterator[Step]:
    if isinstance(handled, AsyncIterator):
        try:
            while True:
                try:
                    yield runner.run(_next(handled))
                except StopAsyncIteration:
                    return
        finally:
            closing = getattr(handled, "aclose", None)
            if closing is not None:
                runner.run(closing())
    else:

        async def whole() -> Outgoing | None:
            return await cast(Awaitable[Outgoing | None], handled)

        yield runner.run(whole())


async def _next(source: AsyncIterator[Step]) -> Step:
    return await source.__anext__()
