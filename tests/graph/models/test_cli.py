"""`graph models`: what it prints and how it exits."""

from __future__ import annotations

import json

from typer.testing import CliRunner, Result

from graph.cli.models import app
from graph.errors import UnknownModel
from tests.graph.models.conftest import Site, model, wheels

VOICE = b"voice"


def graph_models(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def here(site: Site, content: bytes = VOICE) -> None:
    """A catalogue with `tiny`, its file in the store."""
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"}), aliases=["small"]))
    (site.store / "tiny").mkdir(parents=True)
    (site.store / "tiny" / "voice").write_bytes(content)


def test_list(site: Site) -> None:
    here(site)
    lines = graph_models("list").stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:4] for line in lines if line}
    assert rows["tiny"] == ["0", "MIT", "yes"]
    assert rows["kokoro-82m"] == ["121", "Apache-2.0", "no"]
    assert lines[-1] == f"The store is {site.store}"


def test_list_as_json(site: Site) -> None:
    here(site)
    rows = {row["name"]: row for row in json.loads(graph_models("list", "--json").stdout)}
    assert rows["tiny"] == {
        "name": "tiny",
        "aliases": ["small"],
        "about": "a test",
        "licence": "MIT",
        "size": 5,
        "path": str(site.store / "tiny"),
    }
    assert rows["silero-vad"]["path"] is None


def test_path_prints_the_folder_only(site: Site) -> None:
    here(site)
    assert graph_models("path", "small").stdout == f"{site.store / 'tiny'}\n"


def test_unknown_names_are_usage_errors(site: Site) -> None:
    here(site)
    for command in ("path", "pull", "verify"):
        error = graph_models(command, "tinny").exception
        assert isinstance(error, UnknownModel)
        assert error.exit_code == 2
        assert "did you mean 'tiny'?" in str(error)


def test_pull_without_names_lists_the_choices() -> None:
    result = graph_models("pull")
    assert result.exit_code == 2
    assert "whisper-base" in result.stderr
    assert "--all" in result.stderr


def test_pull_of_what_is_here_shows_nothing_but_where(site: Site) -> None:
    here(site)
    result = graph_models("pull", "tiny", "small")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"tiny: {site.store / 'tiny'}\nsmall: {site.store / 'tiny'}\n"


def test_verify_finds_a_changed_file_and_force_mends_it(site: Site) -> None:
    here(site, content=b"vOice")
    site.served.add_wheel("tiny", {"t/voice": VOICE})

    result = graph_models("verify")
    assert result.exit_code == 1
    assert result.stdout.startswith("tiny: voice: sha256 ")
    assert result.stderr == "  `graph models pull --force tiny` brings it again\n"

    assert graph_models("pull", "--force", "tiny").exit_code == 0
    assert graph_models("verify").stdout == "tiny: right\n"
