"""What the actors of a scenario tell each other."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind


class Begin(Kind, frozen=True, omit_defaults=True):
    """The whole graph is ready: the user may begin."""

    kind: ClassVar[str] = "scenario.begin"


class Cue(Kind, frozen=True, omit_defaults=True):
    """Something that whoever holds the scenario has to know, or to do."""

    kind: ClassVar[str] = "scenario.cue"
    name: str  # "order": kill or swap, as the step says; "gave_up": what the step waits for never came; "over": all is said
    step: int = 0  # its number in the session's list, from 0
