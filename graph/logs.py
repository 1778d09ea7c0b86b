"""What a process writes down: JSON lines, in one file with whatever its libraries print.

The file is descriptor 2, opened O_APPEND by whoever started the process, so that lines of native code, of Python's
`logging` and of a traceback stand where they happened. structlog is loaded when a node first asks for its logger: most never
do, and 200 light nodes would each pay for it.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

from graph.log_rotation import LEVELS, STAMP

LEVEL_VARIABLE = "VOICEGRAPH_LOG"
OWN = logging.getLogger("voicegraph")  # what the engine itself writes into a node's log

_encode = msgspec.json.Encoder(enc_hook=repr).encode
_who: dict[str, Any] = {}


def configure(**who: Any) -> None:
    """Let this process log as `who` (instance, node, life), from the level in VOICEGRAPH_LOG."""
    _who.update(who)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsLine())
    logging.basicConfig(handlers=[handler], level=_level(), force=True)


def _level() -> int:
    return LEVELS.get(os.environ.get(LEVEL_VARIABLE, "info").lower(), logging.INFO)


class _AsLine(logging.Formatter):
    """A record of `logging` as a line."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {"timestamp": datetime.fromtimestamp(record.created, UTC).strftime(STAMP)}
        said |= {"level": record.levelname.lower(), "event": record.getMessage(), **_who}
        if record.name != OWN.name:
            said["logger"] = record.name
        if record.exc_info:
            said["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return _encode(said).decode()


@cache
def get() -> Any:
    """The structlog logger of this process; `log.info("loaded", model=name)`."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt=STAMP, utc=True),
            structlog.processors.format_exc_info,
            _structured,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_level()),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger()


def _structured(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    said = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return _encode({**said, **_who, **event}).decode()
