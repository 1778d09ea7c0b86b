"""What a check has found."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Verdict: TypeAlias = Literal["ok", "warning", "problem"]

_ORDER: tuple[Verdict, ...] = ("ok", "warning", "problem")


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's."""

    check: str
    verdict: Verdict
    text: str
    do: str = ""  # a command that mends it


def ok(check: str, text: str) -> Finding:
    return Finding(check, "ok", text)


def warning(check: str, text: str, do: str = "") -> Finding:
    """It runs, but not as well as it could."""
    return Finding(check, "warning", text, do)


def problem(check: str, text: str, do: str = "") -> Finding:
    """The graph does not run like this."""
    return Finding(check, "problem", text, do)


def worst(findings: list[Finding]) -> Verdict:
    return max((one.verdict for one in findings), key=_ORDER.index, default="ok")


def size(count: float) -> str:
    """Bytes in a few characters, as powers of 1024."""
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"
