"""The model hub, by its own client. A hub that cannot be reached is known within seconds, once per process."""

from __future__ import annotations

import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException
from pathlib import Path

from graph.models.catalogue import File, Hub, HubUnreachable, SourceError

PROBE_S = 2.5


def require() -> None:
    """:raises HubUnreachable: it does not answer, or must not be asked (`HF_HUB_OFFLINE`)."""
    reason = _unreachable()
    if reason:
        raise HubUnreachable(reason)


@cache
def _unreachable() -> str:
    """Why the hub cannot be asked; empty where it can.

    The client itself would try again and again; one question with a short limit tells as much. It is asked in a thread of
    its own because name resolution has no limit.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    answers: list[str] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
            with urllib.request.urlopen(request, timeout=PROBE_S):
                answers.append("")
        except urllib.error.HTTPError:
            answers.append("")  # it answers: what it says to a real request is for the client to judge
        except TimeoutError:
            return
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            answers.append(f"{constants.ENDPOINT} cannot be reached: {reason}")

    asking = threading.Thread(target=ask, name="hub probe", daemon=True)
    asking.start()
    asking.join(PROBE_S)
    return answers[0] if answers else f"{constants.ENDPOINT} does not answer within {PROBE_S} s"


def in_cache(hub: Hub, file: str) -> Path | None:
    """A model's file in the client's own cache, where other programs may have brought it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub.repo, hub.path(file), revision=hub.revision)
    return Path(found) if isinstance(found, str) else None


def fetch(hub: Hub, files: Mapping[str, File], into: Path) -> None:
    """Bring files of a model into a folder, under their names in the model. What an interrupted call left is continued.

    :raises SourceError: the hub does not have one, or the connection failed.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # it exports by `__getattr__`
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    for name, file in files.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        cached = in_cache(hub, name)
        if cached is not None:
            shutil.copyfile(cached, target)
            continue
        url = hf_hub_url(hub.repo, hub.path(name), revision=hub.revision)
        try:
            with target.open("ab") as body:  # `hf_hub_download` would begin a large file anew after every interruption
                http_get(url, body, resume_size=body.tell(), headers=build_hf_headers(), expected_size=file.size)
        except Exception as error:  # the client's errors vary with its transport: requests, httpx
            raise SourceError(f"{hub.path(name)}: {_one_line(error)}") from error


def fetch_all(repo: str, into: Path) -> None:
    """Bring a whole repository into a folder. What an interrupted call finished is not fetched again.

    :raises SourceError: the hub does not have it, or the connection failed.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    try:
        snapshot_download(repo, local_dir=into)
    except Exception as error:  # as in `fetch`
        raise SourceError(_one_line(error)) from error


def cached(repo: str) -> Path | None:
    """The snapshot of a repository in the client's own cache, where other programs may have brought it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _one_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
