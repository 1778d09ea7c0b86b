"""What a process writes down: JSON lines by structlog, in one file with whatever its libraries print.

The file is descriptor 2, opened O_APPEND by whoever started the process, so that lines of native code, of Python's
`logging` and of a traceback stand where they happened.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from graph.log_rotation import LEVELS

LEVEL_VARIABLE = "VOICEGRAPH_LOG"

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure(**who: Any) -> None:
    """Let this process log as `who` (instance, node, life): structlog and `logging` alike, from the level in VOICEGRAPH_LOG."""
    level = LEVELS.get(os.environ.get(LEVEL_VARIABLE, "info").lower(), logging.INFO)

    def name(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event"), **who, **event}

    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        name,
    ]
    structlog.configure(
        processors=[*shared, _as_line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_without_meta, _as_line]))
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _without_meta(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)


def _as_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    return _encode(event).decode()


def get() -> Any:
    """The logger of this process; `log.info("loaded", model=name)`."""
    return structlog.get_logger()
