"""The few errors of the project: each message says what, where, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass


class VoicegraphError(Exception):
    """A failure that is told to the user as one clear text, never as a traceback.

    `exit_code` is what a command ends with when this error reaches it: 2 for a bad file or a bad call,
    1 for a run that failed.
    """

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a graph file, with its place (lines and columns count from 1)."""

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    text: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{where}{self.message}{hint}"


class SpecError(VoicegraphError):
    """The graph file is wrong; `problems` holds every error found, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class NodeError(VoicegraphError):
    """A node cannot start, or died: a missing device, an unreadable file, a port in use."""


class MissingExtra(NodeError):
    """A node's libraries are not installed; the message names the extra that brings them."""

    def __init__(self, node: str, extra: str, module: str) -> None:
        super().__init__(f"{node} needs {module}, which is not installed: pip install 'voicegraph[{extra}]'")


class ModelError(VoicegraphError):
    """A model is unknown, cannot be fetched, or is not what the catalogue says it is."""


class UnknownModel(ModelError):
    """A model reference names nothing: no file, no catalogue entry, no hub id."""

    exit_code = 2


class MessageError(VoicegraphError):
    """A frame from the wire is not a message of this protocol, or not of a kind that its port takes."""
