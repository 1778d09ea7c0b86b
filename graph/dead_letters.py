"""Messages that were set aside because every process that took them died: kept in a file, with all that is known."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from graph.links.dealer import Parcel
from graph.message import encode_header
from graph.plan import Edge, Plan
from graph.rundir import RunDir


def dead_letters_file(plan: Plan, instance: str) -> Path:
    """Where the dead letters of a producer instance are kept: they outlive the run, and are never emptied by us."""
    name = f"{plan.name}-{RunDir.of(plan).path.name}"
    return Path(platformdirs.user_state_dir("voicegraph")) / "dead-letters" / name / f"{instance}.jsonl"


def keep(path: Path, edge: Edge, parcels: list[Parcel]) -> str:
    """Add messages to the file, one JSON object a line.

    :returns: a line for the operator; also where the file cannot be written.
    """
    told = f"{edge.id}: {_told(parcels)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            for parcel in parcels:
                file.write(json.dumps(_letter(edge, parcel), ensure_ascii=False) + "\n")
    except OSError as error:
        return f"{told}; lost, because {path} cannot be written: {error.strerror}"
    return f"{told} in {path}"


def _told(parcels: list[Parcel]) -> str:
    if len(parcels) == 1 and parcels[0].takers:
        return f"a message killed {', '.join(parcels[0].takers)} and is set aside"
    many = "a message is" if len(parcels) == 1 else f"{len(parcels)} messages are"
    return f"{many} set aside: {'they killed too many' if any(p.takers for p in parcels) else 'nobody is left to take them'}"


def _letter(edge: Edge, parcel: Parcel) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "edge": edge.id,
        "killed": parcel.takers,
        "header": _plain(parcel),
        "payload": base64.b64encode(parcel.payload).decode(),
    }


def _plain(parcel: Parcel) -> Any:
    """The header with its body; bytes in it as base64, numbers that JSON does not know as null."""
    header = msgspec.msgpack.decode(encode_header(parcel.header, parcel.body))
    return msgspec.json.decode(msgspec.json.encode(header))
