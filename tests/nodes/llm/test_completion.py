from __future__ import annotations

from threading import Event

import pytest

from nodes.llm.completion import Chunk, Completion, CompletionError, ContextOverflow, Update


def piece(text: str) -> Chunk:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def test_updates_come_in_order_and_end_with_the_engine() -> None:
    def engine(completion: Completion) -> None:
        completion.put({"choices": [], "prompt_progress": {"total": 9, "cache": 4, "processed": 4}})
        completion.put({"choices": [{"delta": {"role": "assistant", "content": None}, "finish_reason": None}]})
        completion.put(piece("Hi"))
        completion.put({"choices": [{"delta": {}, "finish_reason": "stop"}]})

    assert [u for u in Completion().read(engine) if u != Update()] == [
        Update(prompt_tokens=9, cached_tokens=4),
        Update(text="Hi"),
        Update(finish_reason="stop"),
    ]


def test_a_reader_is_not_kept_waiting_for_an_engine_that_says_nothing() -> None:
    go_on = Event()

    def engine(completion: Completion) -> None:
        go_on.wait()
        completion.put(piece("late"))

    updates = Completion().read(engine)
    assert next(updates) == Update()
    go_on.set()
    assert [u for u in updates if u.text] == [Update(text="late")]


def test_closing_cancels_the_engine_and_waits_for_its_end() -> None:
    ended = Event()

    def engine(completion: Completion) -> None:
        while not completion.cancelled:
            completion.put(piece("on and on"))
        ended.set()

    updates = Completion().read(engine)
    assert next(updates).text
    assert not ended.is_set()
    updates.close()
    assert ended.is_set()


def test_what_the_engine_raises_reaches_the_reader_after_what_it_said() -> None:
    def engine(completion: Completion) -> None:
        completion.put(piece("Hi"))
        raise CompletionError("out of memory")

    updates = Completion().read(engine)
    assert next(update for update in updates if update.text) == Update(text="Hi")
    with pytest.raises(CompletionError, match="out of memory"):
        list(updates)


@pytest.mark.parametrize(("kind", "error"), [("exceed_context_size_error", ContextOverflow), ("server_error", CompletionError)])
def test_an_error_chunk_is_raised(kind: str, error: type[CompletionError]) -> None:
    def engine(completion: Completion) -> None:
        completion.put({"error": {"code": 400, "message": "no way", "type": kind}})

    with pytest.raises(CompletionError, match="no way") as raised:
        list(Completion().read(engine))
    assert raised.type is error
