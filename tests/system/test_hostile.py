"""Every socket of a running node is fed what is no message, or a lie. It lives, counts that, and still answers."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import zmq

from . import junk
from .graphs import GraphRun, eventually, graph_run, interrupt

EACH = 200_000  # hostile messages to each socket

GRAPH = f"""\
name: hostile
max_message: {junk.MAX_MESSAGE // 1024}KB
shared_memory: 1MB
drain_within: 60s
nodes:
  src: {{{{use: "tests.system.actors:Count", with: {{{{count: 10000000, every_ms: 5}}}}}}}}
  bad: {{{{use: "tests.system.link_actors:Hostile", with: {{{{messages: {EACH}, done: "{{bad}}"}}}}}}}}
  mid:
    use: "tests.system.link_actors:Both"
    in:
      x: [src.out, bad.out]
      y:
        - {{{{from: src.out, link: queue, delivery: at_least_once}}}}
        - {{{{from: bad.jobs, link: queue, delivery: at_least_once}}}}
  end:
    use: "tests.system.actors:CountingCollect"
    in: {{{{x: {{{{from: mid.out, link: queue, delivery: at_least_once}}}}}}}}
    with: {{{{file: "{{heard}}"}}}}
"""


class Attacker:
    """Somebody who can reach a socket, and does not mean well."""

    def __init__(self, context: zmq.Context[Any], kind: int, endpoint: str, identity: bytes = b"") -> None:
        self.socket = context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, 60_000)
        if identity:
            self.socket.setsockopt(zmq.IDENTITY, identity)
        self.socket.connect(endpoint)

    def send(self, frames: list[bytes]) -> None:
        self.socket.send_multipart(frames)


def endpoint(run: GraphRun, name: str) -> str:
    return f"ipc://{next(run.runtime.rglob(name))}"


def attack(run: GraphRun, chance: random.Random) -> int:
    """All sockets that others write to, in turn. Returns how much on the queue is clearly no message."""
    pool = [(True, junk.unreadable(chance)) for _ in range(2000)] + [(False, junk.doubtful(chance)) for _ in range(2000)]
    unreadable = 0
    with zmq.Context() as context, ExitStack() as stack:
        work = Attacker(context, zmq.PUSH, endpoint(run, "mid.work"))
        credit = Attacker(context, zmq.PUSH, endpoint(run, "mid.credit"))
        listener = Attacker(context, zmq.XSUB, endpoint(run, "mid.out"))
        control = Attacker(context, zmq.DEALER, endpoint(run, "control"), b"\xffnobody")
        named = Attacker(context, zmq.DEALER, endpoint(run, "control"), b"nobody")
        for attacker in (work, credit, listener, control, named):
            stack.callback(attacker.socket.close)
        for k in range(EACH):
            if k % 10 == 0:
                first = chance.choice([b"end", b"hello", b"", b"nobody.out->mid.y", chance.randbytes(9)])
                end = {"instance": chance.choice(["nobody", ""]), "edge": "nobody.out->mid.y", "sent": 3}
                work.send([first, junk.notice(chance, [end])])
            else:
                counts, rest = chance.choice(pool)
                work.send([b"bad.jobs->mid.y", *rest])
                unreadable += counts
            credit.send([junk.notice(chance, junk.credits(chance))])
            listener.send([subscription(chance)])
            said = junk.notice(chance, junk.control(chance))
            chance.choice([control, named]).send([said] * chance.randrange(1, 3))
        listener.send([b"\x01?after all of it"])
        assert listener.socket.poll(60_000), "it answers who comes after all of it"
    return unreadable


def subscription(chance: random.Random) -> bytes:
    topic = chance.choice([b"mid.out/", b"?", b"!", b"", chance.randbytes(5)]) + chance.randbytes(chance.randrange(60))
    return chance.choice([b"\x00", b"\x01", b"\x02", b"", b"\xff"]) + topic


GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def spoken(kind: bytes) -> bytes:
    """The first words of ZMTP 3.0, as a socket of that kind."""
    ready = b"\x05READY" + b"\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    return GREETING + b"\x04" + bytes([len(ready)]) + ready


def say(path: str, said: bytes, hears_out: bool = False) -> None:
    """Say something on a bare unix socket; wait until the other end hangs up, where it must."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bare, suppress(BrokenPipeError, ConnectionResetError):
        bare.settimeout(60)
        bare.connect(path)
        bare.sendall(said)
        while hears_out and bare.recv(4096):
            pass


def babble(run: GraphRun, chance: random.Random) -> None:
    """What is not even ZeroMQ's protocol, and frames that claim a length far over what is allowed."""
    for name, kind in (("mid.work", b"PUSH"), ("mid.credit", b"PUSH"), ("mid.out", b"SUB"), ("control", b"DEALER")):
        path = endpoint(run, name).removeprefix("ipc://")
        for claim in (2**25, 2**31, 2**40, 2**62):
            say(path, spoken(kind) + b"\x02" + claim.to_bytes(8, "big") + b"x" * 100, hears_out=True)
        for _ in range(20):
            say(path, chance.randbytes(4096))
            say(path, GREETING[: chance.randrange(64)] + chance.randbytes(200))
            say(path, spoken(kind)[: chance.randrange(90)] + chance.randbytes(200))


def rejections(run: GraphRun, where: str) -> list[int]:
    """What mid has told of frames it rejected: how many in each line."""
    return [int(n) for n in re.findall(rf"^warning: mid: {re.escape(where)}(\d+) frames? rejected", run.stderr, re.MULTILINE)]


def heard(progress: Path) -> int:
    return int(progress.read_text() or 0) if progress.exists() else 0


def waits(progress: Path, more: int) -> Callable[[], bool]:
    known = heard(progress)
    return lambda: heard(progress) >= known + more


def test_every_socket_of_a_node_is_fed_hostile_input_and_it_lives(tmp_path: Path) -> None:
    progress, bad = tmp_path / "heard.count", tmp_path / "bad"
    with graph_run(tmp_path, GRAPH.format(heard=tmp_path / "heard.txt", bad=bad)) as run:
        run.running()
        eventually(lambda: heard(progress), "messages flow")
        mid = run.workers()["mid"]
        before = mid.memory_info().rss
        babble(run, random.Random(1))
        unreadable = attack(run, random.Random(7))
        eventually(bad.exists, "the hostile node has said all")
        eventually(lambda: sum(rejections(run, "bad.jobs->mid.y: ")) >= unreadable, "what came on the queue is counted")
        eventually(
            lambda: sum(rejections(run, "bad.out->mid.x: ")) >= int(bad.read_text()), "what came on the stream is counted"
        )
        eventually(waits(progress, 400), "it still answers")
        assert run.workers()["mid"].pid == mid.pid
        assert psutil.Process(mid.pid).memory_info().rss < before + 300e6
        interrupt(run)
        assert run.wait() == 0, run.stderr[-3000:]
        wall_s = run.report["wall_s"]
        for where in ("bad.jobs->mid.y: ", "bad.out->mid.x: ", ""):
            assert sum(rejections(run, where)) > 0
            assert len(rejections(run, where)) <= wall_s + 1, "told once a second at most"
        for edge, clearly in (("bad.jobs->mid.y", unreadable), ("bad.out->mid.x", int(bad.read_text()))):
            told = sum(rejections(run, f"{edge}: "))  # what came in the last second is in the report alone
            assert clearly <= told <= run.edge(edge)["rejected"] <= EACH
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", run.stderr), "what strangers say moves nobody's cursor"
        stream, queue = run.edge("src.out->mid.x"), run.edge("src.out->mid.y")
        assert stream["sent"] == stream["delivered"] + stream["dropped"]
        assert queue["sent"] == queue["delivered"] == stream["sent"]
        assert {n["restarts"] for n in run.report["nodes"]} == {0}
        run.all_gone()
