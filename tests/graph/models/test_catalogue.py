"""What a catalogue may say, and what the shipped one says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from graph.errors import ModelError
from graph.models.catalogue import Source, installed, parse
from graph.models.store import faults, root
from tests.graph.models.conftest import Site, model, wheels

VOICE = b"voice"
GOOD = wheels("tiny", members={"voice": "t/voice"})


def parsed(**changes: Any) -> None:
    parse(json.dumps({"tiny": model({"voice": VOICE}, GOOD) | changes}), "a test")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"licence": None}, "licence"),
        ({"colour": "red"}, "colour"),
        ({"files": {"voice": {"size": 5, "sha256": "abc"}}}, "sha256"),
        ({"files": {"../voice": {"size": 5, "sha256": "0" * 64}}}, r"'\.\./voice' leaves the model's folder"),
        ({"files": {"/voice": {"size": 5, "sha256": "0" * 64}}}, "'/voice' leaves the model's folder"),
        ({"sources": []}, "sources"),
        ({"sources": [wheels("tiny", members={})]}, r"source 'pypi tiny==1\.0' does not say where 'voice' is"),
        ({"sources": [GOOD | {"hub": {"repo": "org/tiny"}}]}, r"takes nothing from the hub"),
        ({"sources": [{"archives": [{"pypi": "tiny", "size": 5}], "members": {"./": "t/"}}]}, "pin the version: 'tiny==…'"),
        (
            {"sources": [{"archives": [{"npm": "@org/tiny", "size": 5}], "members": {"./": "t/"}}]},
            "pin the version: '@org/tiny@…'",
        ),
        ({"sources": [{"archives": [{"size": 5}], "members": {"./": "t/"}}]}, "an archive is either of pypi or of npm"),
    ],
)
def test_a_wrong_entry_is_refused(changes: dict[str, Any], says: str) -> None:
    parsed()
    with pytest.raises(ModelError, match=f"(?s)the model catalogue of a test is wrong: .*{says}"):
        parsed(**changes)


def test_a_catalogue_that_does_not_parse() -> None:
    with pytest.raises(ModelError, match="the model catalogue of a test is wrong"):
        parse("tiny: [", "a test")
    with pytest.raises(ModelError, match="the model catalogue of a test is wrong"):
        parse("- tiny", "a test")


def test_members_of_a_source() -> None:
    source = msgspec.convert(wheels("tiny", members={"w": ["t/1", "t/2"], "voices/": "v/", "./": "t/"}), Source)
    assert source.parts("w") == ("t/1", "t/2")
    assert source.parts("voices/a") == ("v/a",)
    assert source.parts("config.json") == ("t/config.json",)


def test_two_packages_may_not_share_a_name(site: Site) -> None:
    site.offer(**{"whisper-base": model({"voice": VOICE}, GOOD)})
    with pytest.raises(ModelError, match=r"model 'whisper-base' of .* is in another package's catalogue already"):
        installed()


def test_the_shipped_catalogue() -> None:
    shipped = installed()
    assert list(shipped.models) == [
        "whisper-base",
        "whisper-tiny.en",
        "smollm2-135m-instruct",
        "kokoro-82m",
        "piper-en-joe",
        "silero-vad",
        "smart-turn-v3",
    ]
    assert shipped.find("smollm2-135m").name == "smollm2-135m-instruct"
    names = [name for m in shipped.models.values() for name in (m.name, *m.aliases)]
    assert len(names) == len(set(names))
    for entry in shipped.models.values():
        assert any(source.hub is None for source in entry.sources), f"{entry.name} cannot be had without the hub"
        for source in entry.sources:
            assert source.hub is None or len(source.hub.revision) == 40, f"{source} is not pinned to a commit"


@pytest.mark.models
@pytest.mark.parametrize("name", ["whisper-base", "smollm2-135m-instruct", "kokoro-82m", "silero-vad", "smart-turn-v3"])
def test_the_models_of_the_default_graph_are_what_the_catalogue_says(name: str) -> None:
    assert (root() / name).is_dir()
    assert faults(installed().find(name)) == []
