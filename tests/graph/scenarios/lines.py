"""What a witness may have written."""

from __future__ import annotations

import json
from typing import Any

from graph.scenarios.witnessed import Line


def line(what: str, at_ms: int = 0, turn: int = 1, revision: int = 0, session: str = "default", **more: Any) -> Line:
    return {"what": what, "at_ns": at_ms * 1_000_000, "session": session, "turn": turn, "revision": revision, "by": "x"} | more


OVER = line("cue", turn=0, name="over", step=0)


def answered(
    heard: str, replied: str, turn: int = 1, *, latency_ms: int = 800, session: str = "default", **ends: Any
) -> list[Line]:
    """A turn as it should be."""
    return [
        line("last_spoken_sample", 0, turn, session=session),
        line("transcript", 300, turn, session=session, text=heard),
        line(
            "prompt",
            301,
            turn,
            session=session,
            messages=json.dumps([{"role": "system", "content": "Be kind."}, {"role": "user", "content": heard}]),
        ),
        line("turn_confirmed", 400, turn, session=session),
        line("reply", 500, turn, session=session, text=replied),
        line("reply.begins", latency_ms, turn, session=session),
        line("first_audio", latency_ms, turn, session=session),
        line("reply.ends", 2000, turn, session=session, **{"text": replied, "interrupted": False, "gaps": 0, **ends}),
    ]
