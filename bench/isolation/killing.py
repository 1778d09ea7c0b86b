"""Kills a node of a graph in the middle of each turn, another one each time, while it has something to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event

from bench.recover.ends import now_ns
from bench.voice.script import ASKED, Note, Notes, noted
from graph.commands import CommandClient
from graph.errors import VoicegraphError
from nodes.marks import FIRST_CLAUSE, TRANSCRIPT

LOOK_S = 0.005
TRANSCRIBING_NS = 200_000_000  # after the end of a question's file, which is 100 ms after its last loud sample

# When each has something to do: half into the question, while it is transcribed, or at the mark of the stage before it.
VICTIMS: dict[str, str] = {"tts": FIRST_CLAUSE, "llm": TRANSCRIPT, "stt": "transcribing", "vad": "speaking", "turn": "speaking"}
KILLED = "killed"  # a note; its text is the node


def victim(turn: int) -> str:
    """Who is killed in a turn, counted from 1: the first question, 0, warms up."""
    return list(VICTIMS)[(turn - 1) % len(VICTIMS)]


def due(notes: Sequence[Note], lengths_ns: Sequence[int], at_ns: int) -> int | None:
    """The turn whose victim is to be killed now; None: not yet, or it is done.

    :param lengths_ns: of the questions
    """
    asked = [note for note in notes if note["name"] == ASKED]
    if not asked or not asked[-1]["turn"]:
        return None
    turn, begun_ns = asked[-1]["turn"], asked[-1]["at_ns"]
    happened = {note["name"] for note in notes if note["at_ns"] >= begun_ns}
    if KILLED in happened:
        return None
    if at_ns >= begun_ns + lengths_ns[turn] // 2:
        happened.add("speaking")
    if at_ns >= begun_ns + lengths_ns[turn] + TRANSCRIBING_NS:
        happened.add("transcribing")
    return turn if VICTIMS[victim(turn)] in happened else None


def kill(run: Path, lengths_ns: Sequence[int], ended: Event) -> None:
    """In every turn but the first, until the run has ended.

    :param lengths_ns: of the questions
    """
    known: list[Note] = []
    seen, notes = 0, Notes(run=run)
    while not ended.wait(LOOK_S):
        more, seen = noted(run, seen)
        known += more
        turn = due(known, lengths_ns, now_ns())
        if turn is not None:
            with suppress(VoicegraphError, ProcessLookupError, ValueError):  # it does not run just now: the next look finds it
                os.kill(_pid(run, victim(turn)), signal.SIGKILL)
                notes.take(KILLED, now_ns(), turn, text=victim(turn))
    notes.close()


def _pid(run: Path, node: str) -> int:
    """:raises ValueError: it does not run."""
    (folder,) = (run / "vg").iterdir()
    with CommandClient(folder) as client:
        found = next((one.pid for one in client.status().instances if one.node == node and one.pid), None)
    if found is None:
        raise ValueError(f"{node} does not run")
    return found
