"""What a process writes down: JSON lines, in one file with whatever its libraries print.

The file is descriptor 2, opened O_APPEND by whoever started the process, so that lines of native code, of Python's
`logging` and of a traceback stand where they happened. structlog is loaded when a node first asks for its logger: most never
do, and 200 light nodes would each pay for it.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import cache
from types import ModuleType
from typing import Any

import msgspec

from graph.errors import VoicegraphError
from graph.log_rotation import LEVELS, STAMP
from graph.message import Message
from graph.validation import did_you_mean

LEVEL_VARIABLE = "VOICEGRAPH_LOG"
_who: dict[str, Any] = {}


def _nothing() -> Message[Any] | None:
    return None


_in_hand: Callable[[], Message[Any] | None] = _nothing


class LevelError(VoicegraphError):
    """VOICEGRAPH_LOG names no level."""

    exit_code = 2


def configure(**who: Any) -> None:
    """Let this process log as `who` (instance, node, life), from the level in VOICEGRAPH_LOG; `level` tells if it is none."""
    _who.update(who)
    prepare()
    with contextlib.suppress(LevelError):
        if (wanted := level()) != logging.getLogger().level:
            logging.getLogger().setLevel(wanted)


@cache
def prepare() -> None:
    """Have `logging` write lines of ours; done before a node is forked it costs that node no memory."""
    logging.basicConfig(handlers=[_Handler()], level=logging.INFO, force=True)


def message_in_hand(find: Callable[[], Message[Any] | None]) -> None:
    """Where a line finds its session and its turn; asked when one is written, not for every message."""
    global _in_hand
    _in_hand = find


def level() -> int:
    """From VOICEGRAPH_LOG, of the levels of `logging`.

    :raises LevelError: it names none.
    """
    said = os.environ.get(LEVEL_VARIABLE) or "info"
    if said.lower() not in LEVELS:
        hint = did_you_mean(said.lower(), LEVELS) or ", ".join(LEVELS)
        raise LevelError(f"{LEVEL_VARIABLE}: '{said}' is no level ({hint})")
    return LEVELS[said.lower()]


def _write(said: dict[str, Any]) -> None:
    """One line in one system call: threads and native code write there, too. A full disk is no reason for a node to end."""
    line = _encoded(said) + b"\n"
    with contextlib.suppress(OSError, ValueError):  # ValueError: a test has closed its standard error
        if _who:
            os.write(2, line)
        else:
            sys.stderr.write(line.decode())
            sys.stderr.flush()


def _encoded(said: dict[str, Any]) -> bytes:
    """As JSON; what JSON does not know is told as Python shows it."""
    try:
        return _encode(said)
    except (TypeError, ValueError, RecursionError):  # odd keys, lone surrogates, a value within itself
        return _encode({_clean(key): _clean(value) for key, value in said.items()})


def _clean(value: object) -> str:
    return (value if isinstance(value, str) else _shown(value)).encode("utf-8", "backslashreplace").decode()


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # a node author's own `__repr__` may fail in any way
        return f"<{type(value).__name__}, its repr failed: {type(error).__name__}>"


_encode = msgspec.json.Encoder(enc_hook=_shown).encode


def own(event: str, level: str = "info", exception: bool = False) -> None:
    """Write what the engine itself has to say into a node's log. (`logging` would take 0.1 MB of each node's memory.)

    :param exception: with the trace of the one that is being handled.
    """
    if LEVELS[level] < logging.getLogger().level:
        return
    said = {"timestamp": datetime.now(UTC).strftime(STAMP), "level": level, "event": event, **_who}
    if exception:
        said["exception"] = traceback.format_exc().rstrip()
    _write(said)


class _Handler(logging.Handler):
    """Writes the records of `logging` as lines."""

    def emit(self, record: logging.LogRecord) -> None:
        said: dict[str, Any] = {"timestamp": datetime.fromtimestamp(record.created, UTC).strftime(STAMP)}
        try:
            event = record.getMessage()
        except (TypeError, ValueError) as error:  # a library's own mistake
            event = f"{record.msg} ({error})"
        said |= {"level": record.levelname.lower(), "event": event, **_who, "logger": record.name}
        if record.exc_info:
            said["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        _write(said)


@cache
def get() -> Any:
    """The structlog logger of this process; `log.info("loaded", model=name)`.

    How structlog is set up for others who use it in this process is left alone.
    """
    structlog = _structlog()
    return structlog.wrap_logger(
        _Sink(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=STAMP, utc=True),
            structlog.processors.format_exc_info,
            _structured,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level()),
        cache_logger_on_first_use=True,
    ).bind()


class _Sink:
    """What structlog calls with a finished line."""

    def msg(self, /, **said: Any) -> None:
        _write(said)

    debug = info = warning = error = critical = log = msg


def _structured(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    said = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    message = _in_hand() if threading.current_thread() is threading.main_thread() else None
    if message is not None:
        said |= {"session": message.session, "turn": message.turn}
    return {**said, **_who, **event, **_who}  # an author's `life=` does not make it another life's line


def _structlog() -> ModuleType:
    """structlog without rich, which it would show tracebacks with: 6 ms and 0.4 MB instead of 54 ms and 5 MB.

    The first line may be written in a handler, where 50 ms are heard.
    """
    real = builtins.__import__

    def spare(name: str, names: Any = None, *others: Any) -> ModuleType:
        if name.partition(".")[0] == "rich" and str((names or {}).get("__name__")).startswith("structlog."):
            raise ImportError("rich is not needed")
        return real(name, names, *others)

    builtins.__import__ = spare  # type: ignore[assignment]
    try:
        import structlog
    finally:
        builtins.__import__ = real
    return structlog
