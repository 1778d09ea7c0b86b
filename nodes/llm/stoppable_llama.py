"""llama-cpp-python's model, made to stop while it evaluates a prompt. Imports the library: import it in `setup` only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_cpp import Llama

from nodes.llm.completion import Completion


class Cancelled(Exception):
    """The completion was cancelled while its prompt was evaluated."""


class StoppableLlama(Llama):  # type: ignore[misc]  # the library has no types
    """Evaluates batch by batch and reports to its `completion` before each one.

    Llama itself looks at nothing until the whole prompt is evaluated.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.completion = Completion()

    def eval(self, tokens: Sequence[int]) -> None:
        """Evaluate what is new: a prompt less its cached beginning, or the token last sampled.

        :raises Cancelled: nobody wants the reply any more; what was evaluated so far stays cached.
        """
        cached = self.n_tokens
        total = cached + len(tokens)
        for start in range(0, len(tokens), self.n_batch):
            self.completion.put({"prompt_progress": {"total": total, "cache": cached, "processed": self.n_tokens}})
            if self.completion.cancelled:
                raise Cancelled
            super().eval(tokens[start : start + self.n_batch])
