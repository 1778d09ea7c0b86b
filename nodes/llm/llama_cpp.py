"""GGUF models by llama.cpp, through xllamacpp's in-process server object."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from graph.errors import NodeError
from nodes.llm.chat import ChatConfig, ChatNode
from nodes.llm.completion import Chunk, Completion, CompletionError
from nodes.llm.history import ChatMessage
from nodes.llm.threads import spare_threads

if TYPE_CHECKING:
    from xllamacpp import Server

ERRORS_ONLY = 1  # llama.cpp's verbosity
SHORTEST_REUSE = 8  # tokens; a stretch of the prompt at least so long is reused where something before it was dropped
PROMPT_ONLY = {"max_tokens": 0, "add_generation_prompt": False}  # it samples a token all the same, and evaluates none


class LlamaCppConfig(ChatConfig):
    """Parameters of `llm.llama_cpp`."""

    cache_prompt: bool = Field(True, description="evaluate only what is new in a session's prompt")
    cache_mb: int = Field(256, ge=0, description="memory (MiB) that keeps the prompts of other sessions evaluated")


class LlamaCpp(ChatNode):
    """Answers with a GGUF model on llama.cpp; an interruption stops it within one token or one batch of the prompt."""

    Config = LlamaCppConfig
    config: LlamaCppConfig

    _server: Server | None = None

    def load(self, path: Path) -> None:
        try:
            from xllamacpp import CommonParams, Server
        except ImportError as error:
            raise self.missing("xllamacpp") from error
        config = self.config
        params = CommonParams()
        params.model.path = str(path)
        params.n_ctx = config.context_size
        params.n_batch = params.n_ubatch = config.batch_size
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config.threads or spare_threads()
        params.n_gpu_layers = config.gpu_layers
        params.fit_params = False  # take the sizes as they are given; fitting them reads the model twice
        params.n_parallel = 1
        params.cache_ram_mib = config.cache_mb
        params.n_cache_reuse = SHORTEST_REUSE if config.cache_prompt else 0
        params.warmup = False  # ours evaluates the system prompt
        params.verbosity = ERRORS_ONLY
        # The server object also listens for HTTP, for anybody on the machine. It cannot be told not to, but a socket
        # whose file is gone is one that nobody can reach.
        with tempfile.TemporaryDirectory(prefix="vg-llm-") as folder:
            params.hostnames = [f"{folder}/unused.sock"]
            try:
                self._server = Server(params)
            except RuntimeError as error:
                raise NodeError(
                    f"llama.cpp cannot load {path}: the file is incomplete or of a kind it does not know;"
                    " its own words are in the log of this node"
                ) from error

    @property
    def keeps_prompts(self) -> bool:
        return self.config.cache_prompt

    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        def on_chunk(chunk: Chunk) -> bool:
            completion.put(chunk)
            return completion.cancelled  # True ends the completion

        assert self._server is not None
        request = {
            "messages": messages,
            "stream": True,
            "return_progress": True,
            "cache_prompt": self.config.cache_prompt,
            **self.sampling(),
        }
        if completion.prompt_only:
            request |= PROMPT_ONLY
        try:
            self._server.handle_chat_completions(request, on_chunk)
        except (RuntimeError, ValueError) as error:
            raise CompletionError(str(error)) from error

    def close(self) -> None:
        super().close()
        self._server = None
