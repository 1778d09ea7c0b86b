"""Memory, shared memory and processors, against what a graph may take of them. Roughly: what a node takes is its own."""

from __future__ import annotations

from collections.abc import Sequence

from graph.doctor.finding import Finding, ok, size, warning
from graph.plan import Plan, PlannedNode

PROCESS_BYTES = 40 * 2**20  # of a Python node with numpy, unshared


def check_memory(plan: Plan, model_bytes: dict[str, int], available: int) -> Finding:
    """The models of every process, and the processes, against what is free.

    :param model_bytes: by node, what its models take once.
    """
    needed = sum((model_bytes.get(node.name, 0) + PROCESS_BYTES) * len(node.instances) for node in plan.nodes)
    text = f"about {size(needed)} for {len(plan.instances)} processes and their models, {size(available)} free"
    if needed > available:
        return warning("memory", text, "end other programs, or name smaller models: graph models list")
    return ok("memory", text)


def check_threads(nodes: Sequence[PlannedNode], cores: int) -> Finding:
    """`resources: {threads: …}` of all processes against the processors that they may run on."""
    told = {node.name: node.resources.threads * len(node.instances) for node in nodes if node.resources.threads}
    total = sum(told.values())
    if total > cores:
        of_whom = ", ".join(f"{name} {threads}" for name, threads in told.items())
        text = f"{total} threads are asked for ({of_whom}), there are {cores} processors: they will wait for each other"
        return warning("threads", text, "lower resources.threads in the graph file")
    return ok("threads", f"{cores} processors" + (f", {total} threads asked for" if told else ""))


def check_shared_memory(plan: Plan, total: int | None, free: int | None) -> Finding:
    """/dev/shm against `shared_memory`, which each process that sends may take. Where it is full, payloads go through sockets.

    :param total: None where there is no /dev/shm, or nobody may write there.
    """
    check = "shared memory"
    if not plan.shared_memory:
        return ok(check, "not used by this graph")
    if total is None or free is None:
        return warning(
            check, "/dev/shm is not there or not writable: large payloads lie on the disk", "mount -t tmpfs tmpfs /dev/shm"
        )
    senders = {edge.producer for edge in plan.edges}
    most = plan.shared_memory * sum(len(node.instances) for node in plan.nodes if node.name in senders)
    text = f"/dev/shm has {size(free)} of {size(total)} free, the graph may take up to {size(most)}"
    if free < plan.shared_memory:
        return warning(
            check, text, f"mount -o remount,size={_megabytes(most)}M /dev/shm (Docker: --shm-size={_megabytes(most)}m)"
        )
    return ok(check, text)


def _megabytes(count: int) -> int:
    return -(-count // 2**20)
