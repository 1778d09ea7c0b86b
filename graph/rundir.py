"""The folder of a run: its sockets, its plan, who is alive in it, and the lock that says who owns the graph.

`$XDG_RUNTIME_DIR/vg/<8 hex>/` (or a folder of the user's own under the temporary one), mode 0700, short because a socket
path is at most 107 bytes. One graph file has one folder, so two supervisors of one graph meet at its lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from graph.epoch import Epoch
from graph.errors import VoicegraphError
from graph.plan import Former, Plan

SOCKET_PATH_MAX = 107  # bytes, sun_path of unix(7) less the closing zero
LOCK = "lock"
FILE_PLAN = "file.msgpack"  # as it was read from the file
EPOCH = "epoch.msgpack"
FORMER = "former.msgpack"
SCRATCH = "scratch"  # a link
RINGS = "rings"  # a link, or a folder


class NodeProcess(msgspec.Struct, frozen=True):
    """Who an instance is: a process id alone may have been given to somebody else since."""

    pid: int
    started: int  # start time in clock ticks since boot, field 22 of proc(5) stat; 0 where there is no /proc
    life: int = 0  # how often the instance was started before
    fallback: bool = False


def process_of(pid: int) -> NodeProcess | None:
    """The identity of a living process; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() or not _signalled(pid) else NodeProcess(pid, 0)
    except ProcessLookupError:
        return None
    return None if fields[0] in "ZX" else NodeProcess(pid, int(fields[19]))


def unburied(process: NodeProcess) -> bool:
    """True while a process that has ended waits for its parent to take note; never where there is no /proc."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] == "Z" and int(fields[19]) == process.started


def _signalled(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def running_already(owner: int | str) -> VoicegraphError:
    """One file is one graph, and has one supervisor."""
    return VoicegraphError(f"this graph is running already (process {owner}): stop it first")


def base_dir() -> Path:
    """Where all runs of this user live; made with mode 0700.

    :raises VoicegraphError: it belongs to somebody else.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        base = Path(runtime) / "vg"
    else:
        base = Path(tempfile.gettempdir()) / f"vg-{os.getuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    if base.stat().st_uid != os.getuid():
        raise VoicegraphError(f"{base} belongs to another user: set XDG_RUNTIME_DIR to a folder of your own")
    return base


@dataclass(frozen=True)
class RunDir:
    """One run's folder, as the supervisor and the workers see it."""

    path: Path

    @classmethod
    def of(cls, plan: Plan) -> RunDir:
        """The folder of this graph: the same for the same file, whoever starts it."""
        key = f"{Path(plan.file).resolve()}\0{plan.name}"
        return cls(base_dir() / hashlib.sha256(key.encode()).hexdigest()[:8])

    @property
    def control(self) -> str:
        """Endpoint of the control plane."""
        return f"ipc://{self.path}/control"

    @property
    def commands(self) -> str:
        """Endpoint where the supervisor takes orders."""
        return f"ipc://{self.path}/commands"

    @property
    def nursery(self) -> Path:
        """The socket of the process that starts the nodes."""
        return self.path / "nursery"

    def endpoint(self, template: str) -> str:
        """An endpoint of the plan, its `{run}` filled in."""
        return template.replace("{run}", str(self.path))

    def lock(self) -> int:
        """Take ownership of the graph; the descriptor holds it until it is closed. Never inherited by nodes.

        :raises VoicegraphError: the graph is running already.
        """
        while True:
            self.path.mkdir(mode=0o700, exist_ok=True)
            try:
                held = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # an earlier run is just leaving
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(held, 20).decode() or "?"
                os.close(held)
                raise running_already(owner) from None
            if (self.path / LOCK).exists() and (self.path / LOCK).stat().st_ino == os.fstat(held).st_ino:
                os.truncate(held, 0)
                os.write(held, str(os.getpid()).encode())
                return held
            os.close(held)

    def check_length(self, plan: Plan, spare: int = 0) -> None:
        """See that there is room for all addresses, and for so many characters more.

        :raises VoicegraphError: a socket's path would be longer than the system takes.
        """
        planned = [e for i in plan.instances for e in (i.out, i.work, i.credit)]
        for endpoint in [self.control, *planned]:
            path = self.endpoint(endpoint).removeprefix("ipc://")
            if endpoint.startswith("ipc://") and len(path.encode()) + spare > SOCKET_PATH_MAX:
                raise VoicegraphError(
                    f"socket path {path} is longer than {SOCKET_PATH_MAX} bytes: set XDG_RUNTIME_DIR to a shorter folder"
                )

    def write_plan(self, plan: Plan) -> None:
        """A run begins, with what its file says."""
        self.write_file_plan(plan)
        self.write_epoch(Epoch(0, plan))

    def write_file_plan(self, plan: Plan) -> None:
        """What the file says, as it was read last."""
        half = self.path / f"{FILE_PLAN}.new"
        half.write_bytes(msgspec.msgpack.encode(plan))
        half.rename(self.path / FILE_PLAN)

    def read_file_plan(self) -> Plan:
        """The same."""
        return msgspec.msgpack.decode((self.path / FILE_PLAN).read_bytes(), type=Plan)

    def write_epoch(self, epoch: Epoch) -> None:
        """What is in force from now on; whoever reads at the same time finds all of it, or all of the former one."""
        half = self.path / f"{EPOCH}.new"
        half.write_bytes(msgspec.msgpack.encode(epoch))
        half.rename(self.path / EPOCH)

    def holds(self, plan: Plan) -> bool:
        """True when the run that this folder is of has this very plan, as far as its file goes."""
        path = self.path / FILE_PLAN
        return path.exists() and path.read_bytes() == msgspec.msgpack.encode(plan)

    def read_epoch(self) -> Epoch:
        """What is in force."""
        return msgspec.msgpack.decode((self.path / EPOCH).read_bytes(), type=Epoch)

    def read_plan(self) -> Plan:
        return self.read_epoch().plan

    def write_former(self, former: Former) -> None:
        """What has left the graph in the course of the run: what it has counted still counts."""
        half = self.path / f"{FORMER}.new"
        half.write_bytes(msgspec.msgpack.encode(former))
        half.rename(self.path / FORMER)

    def read_former(self) -> Former:
        try:
            return msgspec.msgpack.decode((self.path / FORMER).read_bytes(), type=Former)
        except FileNotFoundError:
            return Former()

    def known(self) -> set[str]:
        """All instances that were ever started in this run."""
        return {file.name.rsplit(".", 2)[0] for file in self.path.glob("*.counts")} | self.registered().keys()

    def still_supervised(self) -> None:
        """To be called every second or so: whoever finds the run dead knows since when."""
        os.utime(self.path / FILE_PLAN)

    def died_lately(self, within_s: float) -> bool:
        """True when all processes of a run have died, and a supervisor lived within so many seconds: a run that ended in
        any other way has left nothing, or only processes that had finished."""
        codes = [self.exit_code(instance, process.life) for instance, process in self.registered().items()]
        try:
            lately = time.time() - (self.path / FILE_PLAN).stat().st_mtime < within_s
        except FileNotFoundError:
            return False
        return lately and any(code != 0 for code in codes)

    def counts(self, instance: str, life: int) -> Path:
        """What a life of an instance counts, mapped into its memory."""
        return self.path / f"{instance}.{life}.counts"

    def exit_file(self, instance: str, life: int) -> Path:
        """How a life of an instance ended: its exit code, negative for a signal."""
        return self.path / f"{instance}.{life}.exit"

    def note_exit(self, instance: str, life: int, code: int) -> None:
        """Write down how a life of an instance ended; not when the run is over."""
        half = self.path / f"{instance}.{life}.exit.new"
        with contextlib.suppress(FileNotFoundError):
            half.write_text(str(code))
            half.rename(self.exit_file(instance, life))

    def exit_code(self, instance: str, life: int) -> int | None:
        """How a life of an instance ended; None as long as nobody has written that down."""
        try:
            return int(self.exit_file(instance, life).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def node_file(self, instance: str) -> Path:
        """What a program in another language is told when it starts."""
        return self.path / f"{instance}.node.json"

    @property
    def rings(self) -> Path:
        """Where large payloads lie: a folder in memory."""
        return self.path / RINGS

    def make_rings(self) -> None:
        """Make the folder for large payloads, in memory where there is a file system for it; it goes with the run.

        A supervisor that takes a run over finds it there.
        """
        if self.rings.is_dir():
            return
        shared = Path("/dev/shm")
        if shared.is_dir() and os.access(shared, os.W_OK):
            self.rings.symlink_to(tempfile.mkdtemp(prefix="vg-", dir=shared))
        else:
            self.rings.mkdir(mode=0o700)

    def make_scratch(self) -> Path:
        """A folder for the temporary files of the nodes; goes with the run, also when they are killed.

        A supervisor that takes a run over finds it there.
        """
        link = self.path / SCRATCH
        if not link.is_dir():
            link.unlink(missing_ok=True)
            link.symlink_to(tempfile.mkdtemp(prefix="vg-"))
        return link.readlink()

    def register(self, instance: str, pid: int, life: int = 0, fallback: bool = False) -> None:
        """Note down the process of an instance."""
        process = process_of(pid)
        if process is not None:
            noted = NodeProcess(pid, process.started, life, fallback)
            half = self.path / f"{instance}.pid.new"
            half.write_bytes(msgspec.json.encode(noted))
            half.rename(self.path / f"{instance}.pid")

    def alive(self) -> dict[str, NodeProcess]:
        """The processes of this run that live, by instance."""
        found = {}
        for instance, noted in self.registered().items():
            process = process_of(noted.pid)
            if process is not None and process.started == noted.started:
                found[instance] = noted
        return found

    def registered(self) -> dict[str, NodeProcess]:
        """The newest process of every instance that was started, whether it lives or not."""
        found = {}
        for file in self.path.glob("*.pid"):
            try:
                noted = msgspec.json.decode(file.read_bytes(), type=NodeProcess)
            except (msgspec.DecodeError, FileNotFoundError):
                continue  # just removed
            found[file.stem] = noted
        return found

    def keep_state(self, instance: str, state: dict[str, Any]) -> None:
        """What an instance that is started again knows of its sessions. In shared memory, where that is: a disk takes 15 times
        as long, and a voice says it with every word."""
        half = self.rings / f"{instance}.state.new"
        half.write_bytes(msgspec.msgpack.encode(state))
        half.rename(self.rings / f"{instance}.state")

    def take_state(self, instance: str) -> dict[str, Any]:
        """The same, once."""
        try:
            state = msgspec.msgpack.decode((self.rings / f"{instance}.state").read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            return {}
        (self.rings / f"{instance}.state").unlink()
        return state

    def last_life(self, instance: str) -> int:
        """How often an instance was started again, in this run."""
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode((self.path / f"{instance}.pid").read_bytes(), type=NodeProcess).life
        return 0

    def leave(self, instance: str) -> None:
        """An instance that has no supervisor any more goes: the last one takes the folder with it."""
        (self.path / f"{instance}.pid").unlink(missing_ok=True)
        self.vacate()

    def vacate(self) -> None:
        """Take the folder away when nobody lives in it any more and no supervisor owns it."""
        if self.alive():
            return
        try:
            held = os.open(self.path / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.remove()
        except BlockingIOError:
            return  # a new supervisor owns it by now
        finally:
            os.close(held)

    def clear(self) -> None:
        """Remove all that a run left but the lock; call as the owner."""
        for folder in (self.path / SCRATCH, self.rings):
            shutil.rmtree(folder.resolve(), ignore_errors=True)
        for file in self.path.iterdir():
            if file.name != LOCK:
                file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the folder away with all that is in it; call as its owner."""
        self.clear()
        shutil.rmtree(self.path, ignore_errors=True)
