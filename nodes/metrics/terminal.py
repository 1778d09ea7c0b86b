"""The conversation on a terminal, or as plain text where it is none."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from rich.console import Console
from rich.table import Table

from graph.message import DEFAULT_SESSION
from nodes.marks import FIRST_AUDIO, FIRST_CLAUSE, FIRST_TOKEN, PLAYED, REPLY, TRANSCRIPT, TURN_CONFIRMED, TURN_FAILED
from nodes.metrics.turns import Turn

PLAIN_WIDTH = 120  # columns of a table that goes to a file or a pipe

TIMES = {
    "confirmed": TURN_CONFIRMED,
    "transcript": TRANSCRIPT,
    "first\ntoken": FIRST_TOKEN,
    "first\nclause": FIRST_CLAUSE,
    "first\naudio": FIRST_AUDIO,
}


class Terminal(Console):
    """Prints turns. A reader that goes away (`graph run … | head`) ends the printing, not the graph."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # what the terminal's encoding lacks must not end the node
        plain = not sys.stdout.isatty() and "COLUMNS" not in os.environ
        super().__init__(width=PLAIN_WIDTH if plain else None, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """What is still in the buffer must go somewhere, or the interpreter complains at its end."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)

    def user(self, turn: Turn) -> None:
        """What the user said, once it was transcribed."""
        self._line(turn, "user", turn.text(TRANSCRIPT) or "(nothing intelligible)", turn.ms(TRANSCRIPT))

    def assistant(self, turn: Turn) -> None:
        """What the assistant answered, and when it was heard."""
        self._line(turn, "assistant", turn.text(REPLY), turn.ms(FIRST_AUDIO))

    def failed(self, turn: Turn) -> None:
        """Why there was no answer, or not all of it."""
        self._line(turn, "(failed)", turn.failed, turn.ms(TURN_FAILED))

    def _line(self, turn: Turn, who: str, text: str, ms: float | None) -> None:
        session = "" if turn.session == DEFAULT_SESSION else f"{turn.session} "
        after = "" if ms is None else f"  (+{ms:.0f} ms)"
        self.print(f"{session}{turn.number:>3} {who:<9} {text}{after}", soft_wrap=True, style="bold" if who == "user" else None)

    def summary(self, turns: list[Turn]) -> None:
        """The table of a run."""
        if not turns:
            self.print("no speech was heard")
            return
        many = len({turn.session for turn in turns}) > 1
        table = Table(title="ms after the last spoken sample", title_justify="left")
        if many:
            table.add_column("session")
        table.add_column("turn", justify="right")
        table.add_column("user", overflow="fold", ratio=1)
        for name in TIMES:
            table.add_column(name, justify="right")
        table.add_column("assistant", overflow="fold", ratio=1)
        for turn in turns:
            times = ["" if (ms := turn.ms(mark)) is None else f"{ms:.0f}" for mark in TIMES.values()]
            said, replied = turn.text(TRANSCRIPT), turn.text(REPLY) or turn.text(PLAYED)
            for remark in filter(None, (turn.gaps, turn.failed)):
                replied = f"{replied} ({remark})".lstrip()
            table.add_row(*([turn.session] if many else []), str(turn.number), said, *times, replied)
        self.print(table)
