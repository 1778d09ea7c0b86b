"""GGUF models by llama.cpp, through llama-cpp-python: for builds of one's own, compiled for a GPU or a new model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from graph.errors import NodeError
from nodes.llm.chat import ChatNode
from nodes.llm.completion import Completion, CompletionError, ContextOverflow
from nodes.llm.history import ChatMessage
from nodes.llm.threads import spare_threads

if TYPE_CHECKING:
    from nodes.llm.stoppable_llama import StoppableLlama


class LlamaCppPython(ChatNode):
    """Answers with a GGUF model on llama.cpp; what is evaluated of a prompt is kept for the session that spoke last."""

    extra: ClassVar[str] = "llama-cpp-python"

    _llama: StoppableLlama | None = None

    def load(self, path: Path) -> None:
        try:
            from nodes.llm.stoppable_llama import StoppableLlama
        except ImportError as error:
            raise self.missing("llama_cpp") from error
        config = self.config
        threads = config.threads or spare_threads()
        try:
            self._llama = StoppableLlama(
                str(path),
                n_ctx=config.context_size,
                n_batch=config.batch_size,
                n_ubatch=config.batch_size,
                n_threads=threads,
                n_threads_batch=threads,
                n_gpu_layers=config.gpu_layers,
                verbose=False,
            )
        except ValueError as error:
            raise NodeError(f"llama.cpp cannot load {path}: {error}") from error

    @property
    def keeps_prompts(self) -> bool:
        return True

    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        from nodes.llm.stoppable_llama import Cancelled

        assert self._llama is not None
        self._llama.completion = completion
        sampling = self.sampling()
        if completion.prompt_only:
            sampling["max_tokens"] = 1  # 0 would be no limit; the one is sampled and not evaluated
        try:
            for chunk in self._llama.create_chat_completion(messages, stream=True, **sampling):
                if completion.cancelled:
                    break
                completion.put(chunk)
        except Cancelled:
            return
        except (RuntimeError, ValueError) as error:
            overflow = "exceed context window" in str(error)  # the library has no class for it
            raise (ContextOverflow if overflow else CompletionError)(str(error)) from error

    def close(self) -> None:
        super().close()
        if self._llama is not None:
            self._llama.close()
