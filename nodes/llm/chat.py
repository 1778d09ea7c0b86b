"""A chat with a language model: everything but the engine that runs the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from graph.errors import NodeError
from graph.message import Message
from graph.node import Input, NodeConfig, Runtime, Step
from nodes.causes import MODEL_FAILED, NO_WORDS, NOT_UNDERSTOOD
from nodes.gate import Gate
from nodes.kinds import Played, ReplyBegins, Text, TranscriptPartial
from nodes.llm import gguf
from nodes.llm.ahead import Ahead
from nodes.llm.base import LlmNode, Token
from nodes.llm.completion import Completion, CompletionError, ContextOverflow, Update
from nodes.llm.history import ChatMessage, Exchange, History
from nodes.marks import FIRST_TOKEN, REPLY
from nodes.spent import Spent
from nodes.stt.base import TranscriptFinal
from nodes.turn.base import TURN_NEWS, Interrupt, TurnNews

SPOKEN = "You are a helpful assistant. Your replies are spoken: keep them to one short sentence."

IDLE_NS = 20_000_000  # so long nothing must be going on before a prompt is evaluated ahead of its turn
GO_ON_NS = 5_000_000  # between two looks at that; what has come meanwhile goes first


class ChatConfig(NodeConfig):
    """What the engines of this family have in common."""

    model: str = Field("smollm2-135m", description="a GGUF model: catalogue name, hub id, or path of a file or folder")
    file: str = Field("", description="which .gguf file, where a folder or hub repository holds several")
    system: str = Field(SPOKEN, description="the system prompt; empty: none")
    history_turns: int = Field(8, ge=0, description="how many past turns of a session the model sees")
    max_tokens: int = Field(64, ge=1, description="of a reply")
    temperature: float = Field(0.0, ge=0, description="0: always the most probable token")
    top_k: int = Field(40, ge=0, description="0: all tokens")
    top_p: float = Field(0.95, gt=0, le=1)
    min_p: float = Field(0.05, ge=0, le=1)
    repeat_penalty: float = Field(1.0, gt=0, description="1: none")
    seed: int = Field(0, ge=0, description="of the sampling, at a temperature above 0")
    stop: tuple[str, ...] = Field((), description="texts that end a reply")
    context_size: int = Field(2048, ge=256, description="tokens of system prompt, history and reply together")
    batch_size: int = Field(32, ge=1, description="prompt tokens evaluated in one uninterruptible step; on a GPU: 512")
    threads: int | None = Field(None, ge=1, description="default: the node's resources, else one less than there are cores")
    gpu_layers: int = Field(0, ge=0, description="how many layers run on the GPU; 999: all")
    prefill: bool = Field(
        True,
        description="evaluate in idle time what is known of the next prompt: on `partial`, and where the next prompt does not"
        " begin as the last one did (a reply was interrupted, the oldest turn is forgotten)",
    )


class ChatNode(LlmNode, ABC):
    """Answers in the chat format of the model, piece by piece, knowing what was said in the session before.

    An engine implements `load` and `complete`.
    """

    Config: ClassVar[type[NodeConfig]] = ChatConfig
    config: ChatConfig

    turn = Input(
        *TURN_NEWS,
        required=False,
        doc="from the turn node: nothing is answered before its turn is confirmed; not linked, the model works ahead",
    )
    partial = Input(
        TranscriptPartial,
        required=False,
        doc="from an STT node with `partials: true`: what the user is saying; the prompt is evaluated so far while he speaks",
    )

    repeatable = False  # sampling, or the last bit of a sum, may have it say something else
    changeable = frozenset({"system", "max_tokens", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed", "stop"})

    @classmethod
    def models(cls, config: ChatConfig) -> Sequence[str]:
        return (config.model,)

    @property
    def keeps_prompts(self) -> bool:
        """True: the engine caches what it has evaluated, and heeds `Completion.prompt_only`."""
        return False

    @abstractmethod
    def load(self, path: Path) -> None:
        """Load a GGUF file.

        :raises NodeError: a library is missing, or the engine cannot load the file.
        """

    @abstractmethod
    def complete(self, messages: list[ChatMessage], completion: Completion) -> None:
        """Complete a chat, putting the chunks into `completion`; called in a thread of its own.

        :raises CompletionError: the engine cannot; an `error` chunk says the same.
        """

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._history = History(self.config.history_turns)
        self._spent_tokens = Spent()
        self._gate = Gate(runtime.now_ns())
        self._ahead = Ahead(self._evaluate)

    def setup(self) -> None:
        path = gguf.find(self.config.model, self.config.file)
        self.runtime.status(f"loading {self.config.model}")
        self.load(path)
        self._warm_up()
        if self.runtime.connected("partial") and not self._prefills:
            why = "prefill is off" if self.keeps_prompts else "evaluated prompts are not kept"
            self.runtime.warn(f"input 'partial' is of no use: {why}")

    def _warm_up(self) -> None:
        """Ask for a first token: the first turn finds the system prompt evaluated, and what cannot work fails now."""
        try:
            with closing(self._complete([{"role": "user", "content": "Hello."}])) as updates:
                any(update.text for update in updates)
        except CompletionError as error:
            raise NodeError(f"model '{self.config.model}' does not answer: {error}") from error

    def in_turn(self) -> Collection[str]:
        """What waits for its turn to be confirmed is answered by whoever has it."""
        return self._gate.waiting

    def snapshot(self) -> dict[str, Any]:
        """What was said before, and what was confirmed: the history outlives the model, and the process."""
        past, confirmed = self._history.snapshot(), self._gate.snapshot()
        return {name: (past.get(name, []), confirmed.get(name, (0, 0))) for name in past | confirmed}

    def restore(self, state: dict[str, Any]) -> None:
        past = {name: exchanges for name, (exchanges, _) in state.items() if exchanges}
        self._history.restore(past)
        self._gate.restore({name: confirmed for name, (_, confirmed) in state.items()})
        for session in list(past)[-1:]:  # the one that spoke last; nothing of its past is evaluated here
            self._changed(session)
        self.runtime.keep()

    def on_interrupt(self, message: Message[Interrupt]) -> None:
        """What the user goes on with was not said so: it comes anew."""
        self._gate.withdraw(message.session, message.turn, message.revision)
        if self._history.withdraw(message.session, message.turn):
            self.runtime.keep()

    def on_turn(self, message: Message[TurnNews]) -> Iterator[Step]:
        """Answer what waited for this."""
        for waiting in self._gate.told(message):
            yield from self.on_text(waiting)

    def on_played(self, message: Message[ReplyBegins | Played]) -> None:
        """Of a reply that was interrupted or broke off only what was heard is remembered."""
        body = message.body
        if isinstance(body, ReplyBegins):
            self._history.begins(message.session, message.turn)
        elif body.interrupted or body.cause:
            if self._history.heard(message.session, message.turn, body.text):
                self._changed(message.session)
        else:
            if self._history.is_full(message.session):
                self._changed(message.session)
            return
        self.runtime.keep()

    def on_partial(self, message: Message[TranscriptPartial]) -> None:
        """Evaluate the next prompt up to these words, if nothing else is to be done before the next ones come."""
        said = message.body.text.strip()
        if said and self._prefills:
            self._ahead.words(message.session, said)
            self._go_on_after(IDLE_NS)

    def on_due(self) -> None:
        self._ahead.go_on()
        self._go_on_after(GO_ON_NS)

    def _changed(self, session: str) -> None:
        if self._prefills:
            self._ahead.changed(session)
            self._go_on_after(IDLE_NS)

    def _go_on_after(self, pause_ns: int) -> None:
        self.due_ns = self.runtime.now_ns() + pause_ns if self._ahead.waits else 0

    @property
    def _prefills(self) -> bool:
        return self.keeps_prompts and self.config.prefill

    def on_text(self, message: Message[TranscriptFinal | Text]) -> Iterator[Step]:
        if not self.runtime.connected("turn") or self._gate.passes(message):
            yield from self._answer(message)

    def _answer(self, message: Message[TranscriptFinal | Text]) -> Iterator[Step]:
        said = message.body.text.strip()
        if not said:  # nothing was understood: the turn ends in silence
            yield self.tokens(Token(last=True, cause=NOT_UNDERSTOOD))
            return
        self._ahead.asked(message.session)
        known = self._history.reply_to(message.session, message.turn, said)
        if known is not None:  # by a former life, which died before all of it was spoken
            yield self.tokens(Token(known))
            yield self.tokens(Token(index=1, last=True, cause="" if known.strip() else NO_WORDS))
            return
        exchange = self._history.begin(message.session, message.turn, said)
        cause = ""
        try:
            finish_reason = yield from self._reply(message.session, exchange)
        except CompletionError as error:
            finish_reason, cause = "error", f"{MODEL_FAILED}: {error}"
            self.runtime.warn(f"no reply in turn {message.turn} of session '{message.session}': {error}")
            if not exchange.pieces:
                self._history.drop_current(message.session)
        finally:  # also where it was interrupted
            self.runtime.keep()
            self._spent_tokens.add(message, len(exchange.pieces))
            self._go_on_after(IDLE_NS)
        tokens, wasted = len(exchange.pieces), self._spent_tokens.in_vain(message)
        self.mark(REPLY, text=exchange.reply, tokens=tokens, finish_reason=finish_reason, wasted_tokens=wasted)
        if not exchange.reply.strip():
            cause = cause or NO_WORDS
        yield self.tokens(Token(index=tokens, last=True, cause=cause))

    def _reply(self, session: str, exchange: Exchange) -> Generator[Step, None, str]:
        """Say the reply and give its finish reason. Where the chat outgrows the context, its oldest turns are forgotten."""
        oldest = 0
        while True:
            try:
                return (yield from self._say(session, exchange, oldest))
            except ContextOverflow:
                if oldest == self._history.past(session):
                    raise
                oldest += 1

    def _say(self, session: str, exchange: Exchange, oldest: int) -> Generator[Step, None, str]:
        prompt, finish_reason = Update(), ""
        with closing(self._complete(self._history.messages(session, oldest))) as updates:
            for update in updates:
                if update.prompt_tokens and not prompt.prompt_tokens:
                    prompt = update
                    self._make_room(session, oldest, prompt.prompt_tokens)
                finish_reason = update.finish_reason or finish_reason
                if not update.text:
                    yield None
                    continue
                if not exchange.pieces:
                    self.mark(FIRST_TOKEN, prompt_tokens=prompt.prompt_tokens, cached_tokens=prompt.cached_tokens)
                exchange.pieces.append(update.text)
                yield self.tokens(Token(text=update.text, index=len(exchange.pieces) - 1))
        exchange.finished = True
        return finish_reason

    def _make_room(self, session: str, oldest: int, prompt_tokens: int) -> None:
        """:raises ContextOverflow: the longest reply would not fit, and there is something left to forget."""
        if prompt_tokens + self.config.max_tokens > self.config.context_size and oldest < self._history.past(session):
            raise ContextOverflow("no room for the reply")
        self._history.forget(session, oldest)

    def _evaluate(self, session: str, said: str) -> Generator[None]:
        """Evaluate the next prompt of a session up to these words, with as much of the past as `_reply` would leave in it."""
        past = self._history.ahead(session)
        while True:
            messages = [m for exchange in past for m in exchange.messages()]
            messages.append({"role": "user", "content": said})
            try:
                with closing(self._run(Completion(prompt_only=True), messages)) as updates:
                    for update in updates:
                        if past and update.prompt_tokens + self.config.max_tokens > self.config.context_size:
                            raise ContextOverflow("no room for the reply")
                        yield
                return
            except ContextOverflow:
                if not past:
                    return
                del past[0]
            except CompletionError as error:
                self.log.info(f"nothing evaluated ahead for session '{session}': {error}")
                return

    def _complete(self, messages: list[ChatMessage]) -> Generator[Update]:
        return self._run(Completion(), messages)

    def _run(self, completion: Completion, messages: list[ChatMessage]) -> Generator[Update]:
        system: list[ChatMessage] = [{"role": "system", "content": self.config.system}] if self.config.system else []
        return completion.read(partial(self.complete, system + messages))

    def close(self) -> None:
        """An engine does this before it frees its model."""
        self._ahead.pause()

    def sampling(self) -> dict[str, Any]:
        """The parameters of a reply, under the names that both llama.cpp bindings have for them."""
        names = {"max_tokens", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed"}
        return {**self.config.model_dump(include=names), "stop": list(self.config.stop)}
