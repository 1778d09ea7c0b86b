"""A chat completion as a stream: the engine runs in a thread of its own, a handler reads and may end it at any time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any, TypeAlias

Chunk: TypeAlias = dict[str, Any]
"""A chunk of a streamed chat completion, in the shape of the OpenAI API that both llama.cpp bindings give, with
llama.cpp's own additions `prompt_progress` and `error`."""

LOOK_S = 0.005  # how long a reader waits for a chunk before it may look whether it was interrupted


class CompletionError(Exception):
    """The engine cannot complete this chat; the next one may work."""


class ContextOverflow(CompletionError):
    """The chat does not fit the model's context."""


@dataclass(frozen=True, slots=True)
class Update:
    """What became known since the last one; often nothing at all."""

    text: str = ""
    finish_reason: str = ""  # "stop" or "length"
    prompt_tokens: int = 0  # told before any of them is evaluated
    cached_tokens: int = 0  # of these, the ones that need no evaluation


class Completion:
    """The way from an engine to its reader.

    The engine calls `put` with every chunk and must end soon after `cancelled`. While it evaluates the prompt it puts
    chunks without text every now and then, so that it need not be at its first token to learn that it is cancelled.

    :param prompt_only: no reply is wanted. The engine evaluates the prompt, whose end is still to come, for its cache.
    """

    def __init__(self, prompt_only: bool = False) -> None:
        self.prompt_only = prompt_only
        self._chunks: SimpleQueue[Chunk | None] = SimpleQueue()
        self._cancelled = Event()

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the rest."""
        return self._cancelled.is_set()

    def put(self, chunk: Chunk) -> None:
        """Hand a chunk to the reader. Safe in a callback of native code: it neither blocks nor fails."""
        self._chunks.put(chunk)

    def read(self, engine: Callable[[Completion], None]) -> Generator[Update]:
        """Run the engine and tell what it says, every few milliseconds, also where that is nothing.

        Closing the generator cancels the engine and waits until it has ended.

        :raises CompletionError: the engine gave up.
        """
        with ThreadPoolExecutor(1, "completion") as executor:
            running = executor.submit(engine, self)
            running.add_done_callback(lambda _: self._chunks.put(None))
            try:
                while True:
                    try:
                        chunk = self._chunks.get(timeout=LOOK_S)
                    except Empty:
                        yield Update()
                        continue
                    if chunk is None:
                        break
                    yield _update(chunk)
            finally:
                self._cancelled.set()
                wait([running])
            running.result()


def _update(chunk: Chunk) -> Update:
    """:raises CompletionError: the chunk tells of one."""
    if error := chunk.get("error"):
        overflow = error.get("type") == "exceed_context_size_error"
        raise (ContextOverflow if overflow else CompletionError)(error.get("message", error))
    if progress := chunk.get("prompt_progress"):
        return Update(prompt_tokens=progress["total"], cached_tokens=progress["cache"])
    choice = chunk["choices"][0]
    return Update(text=choice["delta"].get("content") or "", finish_reason=choice.get("finish_reason") or "")
