"""The models of a graph: whether they are here, and as large as the catalogue says."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from graph.doctor.finding import Finding, ok, problem, size
from graph.errors import ModelError, UnknownModel
from graph.models import catalogue, locate
from graph.models.store import present, root


def check_models(references: Iterable[str]) -> Iterator[Finding]:
    """One finding for each model; one more where the disk has no room for those that are missing."""
    missing = 0  # bytes
    for reference in dict.fromkeys(references):
        found = check_model(reference)
        model = catalogue.installed().get(reference)
        if found.verdict != "ok" and model is not None:
            missing += model.size
        yield found
    free = shutil.disk_usage(existing(root())).free
    if missing > free:
        text = f"the missing ones take {size(missing)}, {root()} has {size(free)} free"
        yield problem("models", text, "export VOICEGRAPH_MODELS=/a/larger/disk")


def check_model(reference: str) -> Finding:
    """Whether one model is here."""
    check = f"model {reference}"
    model = None if Path(reference).expanduser().exists() else catalogue.installed().get(reference)
    if model is not None and (root() / model.name).is_dir() and present(model) is None:
        text = f"in {root() / model.name} files are missing or have the wrong size"
        return problem(check, text, f"graph models pull --force {reference}")
    try:
        return ok(check, str(locate(reference)))
    except UnknownModel as error:
        return problem(check, str(error), "graph models list")
    except ModelError:
        wanted = f" ({size(model.size)})" if model is not None else ""
        return problem(check, f"is not here{wanted}", f"graph models pull {reference}")


def bytes_of(references: Iterable[str]) -> int:
    """What models that are here take on the disk: about what they take in memory, once for each process."""
    total = 0
    for reference in references:
        try:
            path = locate(reference)
        except ModelError:
            continue
        files = path.rglob("*") if path.is_dir() else [path]
        total += sum(file.stat().st_size for file in files if file.is_file())
    return total


def existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
