"""The interpreter, and the libraries that the nodes of a graph need: what is installed, read without importing any."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata

from packaging.requirements import Requirement

from graph.doctor.finding import Finding, ok, problem, warning
from graph.plan import PlannedNode
from graph.registry import load_class

PYTHON = (3, 11)
OWN = "voicegraph"
Version = Callable[[str], str | None]  # of an installed distribution


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether this Python is new enough."""
    told = ".".join(map(str, version))
    if version < PYTHON:
        return problem(
            "python", f"Python {told} is too old, {'.'.join(map(str, PYTHON))} is needed", "make PYTHON=python3.12 run"
        )
    return ok("python", f"Python {told}")


def installed_version(name: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def own_requirements() -> list[Requirement]:
    """What this package asks for, with all its extras."""
    return [Requirement(text) for text in metadata.requires(OWN) or ()]


def extras_of(nodes: Iterable[PlannedNode]) -> dict[str, list[str]]:
    """The extras that nodes need, each with the names of those nodes."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        if not node.command:
            cls = load_class(node.target)
            for extra in cls.extras(cls.Config(**node.config)):
                found.setdefault(extra, []).append(node.name)
    return found


def check_extras(needed: Mapping[str, list[str]], requirements: list[Requirement], version: Version) -> Iterator[Finding]:
    """One finding for each extra; `needed` holds the nodes that need it. Without a node it is only worth a warning.

    An extra that is of another package is passed over: what it brings is known to nobody here.
    """
    known = {extra for one in requirements for extra in _extras_in(one)}
    for extra, nodes in needed.items():
        if extra not in known:
            continue
        lacking = list(_lacking(extra, requirements, version, set()))
        check = f"extra {extra}"
        of_whom = f" ({', '.join(nodes)})" if nodes else ""
        if not lacking:
            yield ok(check, f"installed{of_whom}")
        else:
            tell = problem if nodes else warning
            yield tell(check, f"{'; '.join(lacking)}{of_whom}", f"pip install '{OWN}[{extra}]'")


def check_own(requirements: list[Requirement], version: Version) -> Finding:
    """What every graph needs."""
    lacking = list(_lacking("", requirements, version, set()))
    if lacking:
        return problem("libraries", "; ".join(lacking), f"pip install {OWN}")
    return ok("libraries", "all that the engine needs")


def all_extras(requirements: list[Requirement]) -> dict[str, list[str]]:
    """Every extra that is for users, needed by nobody in particular."""
    return {extra: [] for one in requirements for extra in _extras_in(one) if extra not in ("dev", "voice")}


def _extras_in(requirement: Requirement) -> list[str]:
    """The extras that a requirement belongs to."""
    text = str(requirement.marker or "").replace('"', "'").split("extra == '")[1:]
    return [part.partition("'")[0] for part in text]


def _lacking(extra: str, requirements: list[Requirement], version: Version, seen: set[str]) -> Iterator[str]:
    """What an extra asks for and is not there, or is of the wrong version; an extra may ask for others of the same package."""
    seen.add(extra)
    for one in requirements:
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        if one.marker is None and extra:
            continue  # it is asked for without any extra
        if one.name == OWN:
            for other in sorted(one.extras - seen):
                yield from _lacking(other, requirements, version, seen)
            continue
        here = version(one.name)
        if here is None:
            yield f"{one.name} is not installed"
        elif not one.specifier.contains(here, prereleases=True):
            yield f"{one.name} {here} is installed, {one.specifier} is needed"
