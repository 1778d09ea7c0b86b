"""From what the witness wrote to a recording of the models: what each said, and how long it took. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from graph.scenarios.witnessed import Line

Key: TypeAlias = tuple[str, int, int]  # session, turn, revision


def recording(lines: Iterable[Line]) -> dict[str, list[dict[str, Any]]]:
    """By role, what was said in each turn and revision; times in seconds.

    stt: `text`, `after_s` the utterance. llm: `pieces`, each with the seconds since the one before, the first since the
    transcript. tts: a clause each, `text`, `after_s` the piece that completed it, and `lasts_s`.
    """
    since: dict[Key, int] = {}  # when the newest message came that the next role works on
    stt: list[dict[str, Any]] = []
    llm: dict[Key, dict[str, Any]] = {}
    tts: list[dict[str, Any]] = []
    clause: dict[Key, dict[str, Any]] = {}
    written: dict[Key, int] = {}
    for line in sorted(lines, key=lambda one: one["at_ns"]):
        what, at_ns = line["what"], line["at_ns"]
        key: Key = (line["session"], line["turn"], line["revision"])
        of = dict(zip(("session", "turn", "revision"), key, strict=True))
        if what == "utterance":
            since[key] = at_ns
        elif what == "text" and key in since:
            stt.append(of | {"text": line["text"], "after_s": _seconds(at_ns - since[key])})
            since[key] = at_ns
        elif what == "token" and key in since:
            reply = llm.setdefault(key, of | {"pieces": []})
            if line["text"]:
                reply["pieces"].append([_seconds(at_ns - since[key]), line["text"]])
                since[key] = written[key] = at_ns
        elif what == "frame" and line["turn"]:
            begun = clause.setdefault(key, {"after_s": _seconds(at_ns - written.get(key, at_ns)), "lasts_s": 0.0})
            begun["lasts_s"] = round(begun["lasts_s"] + line["seconds"], 3)
        elif what == "spoken" and key in clause:
            if line["text"]:
                tts.append(of | {"text": line["text"]} | clause.pop(key))
            written[key] = at_ns
    return {"stt": stt, "llm": list(llm.values()), "tts": tts}


def as_text(recorded: dict[str, list[dict[str, Any]]]) -> str:
    """As JSON, a line for each thing that was said."""
    roles = []
    for role, said in recorded.items():
        items = ",\n  ".join(json.dumps(one, ensure_ascii=False) for one in said)
        roles.append(f'"{role}": [\n  {items}\n ]' if said else f'"{role}": []')
    return "{\n " + ",\n ".join(roles) + "\n}\n"


def _seconds(ns: int) -> float:
    return round(max(0, ns) / 1e9, 3)
