"""The model store: a folder with one folder a model. What stands there under a model's name is complete and checked."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from graph.errors import ModelError
from graph.models import catalogue
from graph.models.catalogue import HubUnreachable, Model, SourceError
from graph.models.progress import PullProgress

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_NAME = re.compile(r"[\w-][\w.-]*")
_UNFINISHED = ".unfinished"  # pulls under way and interrupted ones, and their locks


def root() -> Path:
    """Where the store is: `$VOICEGRAPH_MODELS`, or `models` in the user's cache folder for voicegraph."""
    if chosen := os.environ.get("VOICEGRAPH_MODELS"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("voicegraph")) / "models"


def locate(reference: str) -> Path:
    """Where a model is: the path itself for an existing path, a folder for a catalogue name, an alias or a hub id.

    :raises UnknownModel: the reference names nothing that there is.
    :raises ModelError: it is known but not here; the text says how to get it.
    """
    found = _find(reference)
    if found is None:
        raise ModelError(f"model '{reference}' is not here: run `graph models pull {reference}`")
    return found


def present(model: Model) -> Path | None:
    """The folder of a catalogue model whose files are all here with their right sizes (`File.fault` reads them, too)."""
    folder = root() / model.name
    for files in model.variants():
        if all((folder / n).is_file() and (folder / n).stat().st_size == f.size for n, f in files.items()):
            return folder
    return None


def faults(model: Model) -> list[str]:
    """Every file of a catalogue model in the store that is not what it should be, with the reason; reads all of it."""
    folder = root() / model.name
    by_variant = [[f"{n}: {fault}" for n, f in files.items() if (fault := f.fault(folder / n))] for files in model.variants()]
    return min(by_variant, key=len)


def ensure(references: Iterable[str], progress: PullProgress | None = None, *, again: bool = False) -> dict[str, Path]:
    """Bring the models that are missing into the store; gives where each is. `again` also replaces what is there.

    Nothing is asked of any network for a model that is present. `graph.models.Bars` shows what happens.

    :raises UnknownModel: a reference names nothing; no other is pulled either.
    :raises ModelError: a model cannot be had from any of its sources; the text has the reason of each.
    """
    references = list(dict.fromkeys(references))
    progress = progress or PullProgress()
    missing = [r for r in references if _missing(r, again)]
    for reference in missing:
        model = catalogue.installed().get(reference)
        if model is not None:
            _pull(model, progress, again)
        else:
            _pull_repository(reference, progress, again)
    return {reference: locate(reference) for reference in references}


def _missing(reference: str, again: bool) -> bool:
    model = None if Path(reference).expanduser().exists() else catalogue.installed().get(reference)
    if model is not None:
        return again or present(model) is None
    found = _find(reference)
    return found is None or (again and found == root() / reference)


def _find(reference: str) -> Path | None:
    """As `locate`; None for a model that could be pulled.

    :raises UnknownModel: the reference names nothing that there is.
    """
    path = Path(reference).expanduser()
    if reference and path.exists():
        return path
    is_hub_id = _HUB_ID.fullmatch(reference) is not None
    if (is_hub_id or _NAME.fullmatch(reference)) and (root() / reference).is_dir():
        return root() / reference  # before the catalogue is read: every node of a graph asks at its start
    model = catalogue.installed().get(reference)
    if model is not None:
        folder = root() / model.name
        return folder if folder.is_dir() else None
    if not is_hub_id:
        raise catalogue.installed().unknown(reference)
    from graph.models import hub

    return hub.cached(reference)


def _pull(model: Model, progress: PullProgress, again: bool) -> None:
    from graph.models import sources

    with _work_folder(model.name, progress) as work:
        if not again and present(model) is not None:
            return  # another process brought it meanwhile
        refusals = []
        for source in model.sources:
            try:
                folder = sources.fetch(model, source, work, progress)
            except SourceError as error:
                refusals.append(f"  {source}: {error}")
                progress.note(str(error) if isinstance(error, HubUnreachable) else f"{model.name}: {source}: {error}")
                continue
            _publish(folder, root() / model.name, work)
            progress.finished(model.name)
            return
        raise ModelError("\n".join([f"model '{model.name}' cannot be had from any source:", *refusals]))


def _pull_repository(repo: str, progress: PullProgress, again: bool) -> None:
    from graph.models import hub

    with _work_folder(repo, progress) as work:
        if not again and (root() / repo).is_dir():
            return  # another process brought it meanwhile
        try:
            hub.require()
            progress.started(repo, f"hub {repo}", None)
            hub.fetch_all(repo, work / "files")
        except SourceError as error:
            raise ModelError(f"model '{repo}' is no file here, and as a hub id it cannot be had: {error}") from error
        shutil.rmtree(work / "files" / ".cache", ignore_errors=True)  # the client's notes
        _publish(work / "files", root() / repo, work)
        progress.finished(repo)


@contextmanager
def _work_folder(name: str, progress: PullProgress) -> Iterator[Path]:
    """A folder in the store to work in, for one process at a time; what an interrupted pull left is still there."""
    from filelock import FileLock, Timeout

    work = root() / _UNFINISHED / name.replace("/", "--")
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{work}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.note(f"{name}: another process is pulling it, waiting")
            lock.acquire()
        try:
            yield work
        finally:
            lock.release()
    except OSError as error:
        raise ModelError(f"cannot write to the model store: {error} (VOICEGRAPH_MODELS sets another folder)") from error


def _publish(folder: Path, target: Path, work: Path) -> None:
    """Put a finished folder in its place in one step, and clear the work folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # incomplete, or pulled again: who reads it now keeps its open files
        shutil.rmtree(work / "replaced", ignore_errors=True)
        target.rename(work / "replaced")
    folder.rename(target)
    shutil.rmtree(work, ignore_errors=True)  # what a killed pull's pip may still write there is cleared by the next pull
