"""What the system gives: descriptors, ports, watching processes, and programs that nodes are made of."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from graph.doctor.finding import Finding, ok, problem, warning
from graph.errors import NodeError
from graph.foreign import find_program
from graph.plan import Plan, PlannedNode

# Measured on Linux: `graph run` holds 19 and 2 an instance, a node 24, 1 a neighbour on streams and 3 on queues.
SUPERVISOR_FILES, INSTANCE_FILES = 32, 3
NODE_FILES, PEER_FILES = 64, 3  # a node's own (models, a sound card) among them

_PIDFD_OPEN: Callable[[int], int] | None = getattr(os, "pidfd_open", None)


def check_files(plan: Plan, soft: int, hard: int) -> Finding:
    """Whether the limit of open files (RLIMIT_NOFILE) is enough for the supervisor and for the node with most neighbours."""
    of = {node.name: len(node.instances) for node in plan.nodes}
    peers = dict.fromkeys(of, 0)
    for edge in plan.edges:
        peers[edge.producer] += of[edge.consumer]
        peers[edge.consumer] += of[edge.producer]
    needed = {f"node '{name}'": NODE_FILES + PEER_FILES * count for name, count in peers.items()}
    needed["graph run"] = SUPERVISOR_FILES + INSTANCE_FILES * len(plan.instances)
    who, most = max(needed.items(), key=lambda one: one[1])
    text = f"{who} may need {most} of {soft} open files"
    if most > soft:
        return problem("open files", text, f"ulimit -n {most}" if most <= hard else f"raise the hard limit ({hard}) to {most}")
    return ok("open files", text)


def check_pidfd(opened: Callable[[int], int] | None = _PIDFD_OPEN) -> Finding:
    """Whether the end of a process can be waited for."""
    try:
        if opened is not None:
            os.close(opened(os.getpid()))
            return ok("process watching", "by pidfd")
    except OSError:
        pass  # an older kernel, or a sandbox: told below
    return warning(
        "process watching", "the system has no pidfd: the end of a node is noticed up to 50 ms late", "use Linux 5.3 or newer"
    )


def check_ports(plan: Plan, running: bool) -> Finding | None:
    """Whether the ports that a graph would bind are free; None where it uses none.

    :param running: the graph runs already: then they are taken, by itself.
    """
    said = [e for i in plan.instances for e in (i.out, i.work, i.credit) if e.startswith("tcp://")]
    if not said:
        return None
    if running:
        return ok("ports", "taken by this graph, which is running")
    taken = [endpoint for endpoint in said if not _free(endpoint)]
    if taken:
        text = f"{len(taken)} of {len(said)} are taken: {', '.join(taken[:4])}{' …' if len(taken) > 4 else ''}"
        first = taken[0].rpartition(":")[2]
        return problem("ports", text, f"set another transport.first_port; who has it: ss -ltnp 'sport = :{first}'")
    return ok("ports", f"{len(said)} are free, from {said[0].removeprefix('tcp://')}")


def _free(endpoint: str) -> bool:
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the sockets of the graph do
        try:
            tried.bind((host, int(port)))
        except OSError:
            return False
    return True


def check_programs(nodes: Iterable[PlannedNode]) -> Iterator[Finding]:
    """The programs behind `exec:`; of a script in JavaScript also what it imports."""
    for node in nodes:
        if not node.command:
            continue
        check = f"program {node.name}"
        try:
            find_program(node.command[0])
        except NodeError as error:
            yield problem(check, str(error), f"install {Path(node.command[0]).name}, or correct `exec` of {node.name}")
            continue
        package = next((p for p in map(_package, node.command[1:]) if p is not None), None)
        if package is not None and not (package / "node_modules").is_dir():
            yield problem(check, f"{package} has no node_modules", f"npm install --prefix {package}")
        else:
            yield ok(check, " ".join(node.command))


def _package(argument: str) -> Path | None:
    """The folder of a script in JavaScript, where it is a package with dependencies."""
    script = Path(argument)
    here = script.suffix in (".js", ".mjs", ".cjs") and (script.parent / "package.json").is_file()
    return script.parent if here and "dependencies" in (script.parent / "package.json").read_text() else None
