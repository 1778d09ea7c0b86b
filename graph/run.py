"""Runs a plan: the thin loop around the supervisor's decisions, with the real processes, sockets and clock."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import psutil
import zmq

from graph.commands import Answer, Apply, Ask, CommandServer, Line, Request, Scale
from graph.control import Beat, ControlServer, Failed, Gone, Heard
from graph.differences import differences
from graph.epoch import Epoch
from graph.errors import NodeError, VoicegraphError
from graph.events import (
    Action,
    Bury,
    Event,
    Exited,
    Finish,
    Interrupted,
    Kill,
    Left,
    Said,
    Send,
    Spawn,
    Tell,
    Tick,
    Want,
    WriteEpoch,
)
from graph.handover import Legacy, positions
from graph.launchers.local import LocalLauncher
from graph.links.counts import Counts, topics_of
from graph.log_places import begin, log_dir
from graph.log_rotation import BYTES_MAX, HUGE, Journal, cut
from graph.logs import level as log_level
from graph.member import Found
from graph.orders import cannot_apply, events_of, refusal, scaling
from graph.plan import Plan
from graph.replan import wanted_of
from graph.report import Report
from graph.rundir import NodeProcess, RunDir
from graph.serving import Serving
from graph.supervisor import Supervisor

LOOK_MS = 50  # how long a deadline may be passed unnoticed, or an exit where the system has no pidfd
LAST_WORDS_MS = 5
SHORTEN_S = 0.5  # how often long logs are looked for
QUIET_MS = 1000  # while the graph runs there is no deadline: nothing but beats wakes the supervisor
SPARE = 6  # characters that the names of later processes of a node may have more: `+12345`
NOT_STARTED = 126  # the exit code that shells give to what cannot be executed

if TYPE_CHECKING:
    from graph.watching import Watch

Teller: TypeAlias = Callable[[Tell, Supervisor], None]


def run(plan: Plan, tell: Teller, watch: Watch | None = None) -> tuple[int, Report, dict[str, str]]:
    """Run a graph to its end. Ctrl-C, SIGTERM and a closed terminal drain it, a second one stops it at once.

    When the file that is watched has been saved, the running graph becomes what it says.

    Where an earlier supervisor of the same plan was killed and its nodes live on, they are taken over as they are.
    `tell` is handed every line for the user. Returns the exit code, the report and the failures by instance.

    :raises VoicegraphError: the graph is running already, a socket path would be too long, there is no place for logs, or
        VOICEGRAPH_LOG names no level.
    """
    log_level()
    directory = RunDir.of(plan)
    directory.check_length(plan)
    lock = directory.lock()
    try:
        found = _found(directory, plan)
        if not found:
            directory.write_plan(plan)
        logs = begin(plan, adopt=bool(found))
        epoch = directory.read_epoch()
        return _Runner(epoch, directory, LocalLauncher(epoch, directory, logs), tell, watch).run(found, plan)
    finally:
        directory.remove()
        os.close(lock)


def _found(directory: RunDir, plan: Plan) -> dict[str, NodeProcess]:
    """What an earlier supervisor of this plan has left, which was killed. Nodes of another plan are ended."""
    if _is_or_becomes(directory, plan) and (directory.alive() or directory.died_lately(plan.orphan_after_s)):
        return directory.registered()
    for left in directory.alive().values():
        LocalLauncher.kill_group(left.pid, signal.SIGKILL)
    while directory.alive():
        time.sleep(0.01)
    directory.clear()
    return {}


def _is_or_becomes(directory: RunDir, plan: Plan) -> bool:
    """True when what runs there is of this plan, or can be changed into it."""
    try:
        return directory.holds(plan) or all(d.applies for d in differences(directory.read_plan(), plan))
    except (OSError, msgspec.DecodeError):
        return False  # there is none, or it is of another version


class _Runner:
    def __init__(self, epoch: Epoch, directory: RunDir, launcher: LocalLauncher, tell: Teller, watch: Watch | None) -> None:
        plan = epoch.plan
        self._context: zmq.Context[Any] = zmq.Context()
        self._control = ControlServer(self._context, directory.control)
        self._commands = CommandServer(self._context, directory.commands)
        self._directory = directory
        self._launcher = launcher
        self._tell = tell
        self._supervisor = Supervisor(plan)
        self._report = Report(plan)
        for other in epoch.plans:
            self._report.replan(other)
        self._report.replan(plan)
        self._serving = Serving(self._supervisor, self._report, directory, log_dir(plan))
        self._interruptions = 0
        self._due: list[Event] = []  # that follow from what was done: a process could not be started, one has died
        self._woken, self._waker = socket.socketpair()  # a signal wakes the poll at once
        self._poller = zmq.Poller()
        self._watch = watch
        for one in (self._control.socket, self._commands.socket, self._woken, *([watch.woken] if watch else [])):
            self._poller.register(one, zmq.POLLIN)
        self._epoch = epoch
        self._programs = [i.id for i in plan.instances if plan.node(i.node).command]
        self._shortened_s = 0.0
        self._ticked_s = 0.0
        self._journal = Journal(log_dir(plan) / "supervisor.log")
        self._finished: int | None = None

    def run(self, found: dict[str, NodeProcess], plan: Plan) -> tuple[int, Report, dict[str, str]]:
        try:
            with self._signals():
                self._do(self._adopt(found, plan) if found else self._supervisor.begin(time.monotonic()))
                while self._finished is None:
                    self._wait()
                    for event in self._events():
                        self._do(self._supervisor.handle(event, time.monotonic()))
            return self._finished, self._report, self._supervisor.failures
        finally:
            for instance in self._supervisor.members:
                self._launcher.kill(instance, signal.SIGKILL)
            self._launcher.close()
            if self._watch is not None:
                self._watch.close()
            self._control.close()
            self._commands.close()
            self._context.term()
            self._woken.close()
            self._waker.close()

    def _adopt(self, found: dict[str, NodeProcess], plan: Plan) -> list[Action]:
        alive = self._directory.alive()
        self._report.remember(self._directory.read_former())
        for instance, process in found.items():
            takes_part = self._epoch.has(instance)
            for life in range(process.life + (not takes_part)):
                self._report.buried(instance, Counts.read(self._directory.counts(instance, life)))
            self._report.spawned(instance, process.pid, process.life)
            if instance in alive and not takes_part:
                self._launcher.kill_group(process.pid, signal.SIGKILL)
            elif instance in alive:
                self._launcher.adopt(instance, process)
        left = {i: Found(p.life, i in alive, p.fallback, self._directory.exit_code(i, p.life) == 0) for i, p in found.items()}
        self._supervisor.changes.known |= self._directory.known()
        actions = self._supervisor.adopt(left, time.monotonic(), self._epoch)
        self._supervisor.changes.wanted = wanted_of(self._epoch.plan, self._directory.read_file_plan(), plan)
        self._directory.write_file_plan(plan)
        return actions

    def _wait(self) -> None:
        if self._due:
            return
        exits = self._launcher.exit_descriptors()
        watched = self._watch is not None and self._watch.pending
        quiet = exits is not None and not self._supervisor.has_deadline and not watched
        for descriptor in exits or ():
            self._poller.register(descriptor, zmq.POLLIN)
        self._poller.poll(QUIET_MS if quiet else LOOK_MS)
        for descriptor in exits or ():
            self._poller.unregister(descriptor)
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def _events(self) -> Iterator[Event]:
        while self._interruptions:
            self._interruptions -= 1
            yield Interrupted()
        while self._due:
            yield self._due.pop(0)
        yield from self._said()
        exits = list(self._launcher.exits())
        while exits and self._control.socket.poll(LAST_WORDS_MS):
            yield from self._said()  # its last words came before its end, though they may be on their way
        for instance, code in exits:
            yield Exited(instance, code)
        self._keep_house(time.monotonic())
        for whom, request in self._commands.receive():
            yield from self._asked(whom, request)
        if self._watch is not None and self._watch.due(time.monotonic()):
            yield from self._saved(self._watch)
        yield from self._serving.look(time.monotonic())
        if time.monotonic() - self._ticked_s >= LOOK_MS / 1000:  # many nodes wake us with every beat of one of them
            self._ticked_s = time.monotonic()
            yield Tick()

    def _keep_house(self, now_s: float) -> None:
        """Twice a second: say that we live, and cut the logs of programs, which do not do it themselves, and of nodes that
        are too busy to."""
        if now_s - self._shortened_s >= SHORTEN_S:
            self._shortened_s = now_s
            self._directory.still_supervised()
            for instance in self._supervisor.members:
                cut(self._launcher.log(instance), BYTES_MAX if instance in self._programs else 2 * HUGE)

    def _said(self) -> Iterator[Event]:
        for instance, message in self._control.receive():
            if instance not in self._supervisor.members:
                continue
            if isinstance(message, Beat):
                self._report.add(instance, message)
                self._control.send(instance, Heard())
            yield Said(instance, message)

    def _asked(self, whom: bytes, request: Request) -> Iterator[Event]:
        """Answer a command, and make of it what the supervisor has to decide."""
        if isinstance(request, Ask):
            self._commands.answer(whom, Answer(status=self._serving.status()))
            return
        if isinstance(request, Apply):
            answer, wanted = self._apply(request.plan, request.check)
            self._commands.answer(whom, answer)
            yield from wanted
            return
        refused = refusal(self._supervisor, request)
        events: list[Event] = []
        if refused is None and isinstance(request, Scale):
            try:
                change = scaling(self._supervisor, request, self._directory.known())
                self._directory.check_length(change.plan)
                events = [change]
            except VoicegraphError as error:
                refused = Answer(str(error))
        elif refused is None and not isinstance(request, Scale):
            events = list(events_of(request))
        self._commands.answer(whom, refused or Answer())
        yield from events

    def _apply(self, said: Plan, check: bool = False) -> tuple[Answer, list[Event]]:
        """What becomes of a file that was edited."""
        live = self._supervisor.changes.wanted or self._supervisor.plan
        wanted = wanted_of(live, self._directory.read_file_plan(), said)
        changes = differences(live, wanted)
        answer = Answer(changes=[Line(d.where, d.text, d.applies) for d in changes])
        if check:
            return answer, []
        memory = {m: self._serving.vitals.of(m).rss for m in self._supervisor.members}
        refused = cannot_apply(self._supervisor, wanted, changes, {**memory, "": psutil.virtual_memory().available})
        if refused is not None:
            return refused, []
        try:
            self._directory.check_length(wanted, spare=SPARE)
        except VoicegraphError as error:
            return Answer(str(error)), []
        self._directory.write_file_plan(said)
        return answer, [Want(wanted)]

    def _saved(self, watch: Watch) -> list[Event]:
        """The file was saved: become what it says, if it says anything that can be."""
        try:
            plan = watch.read()
        except VoicegraphError as error:
            self._say(Tell("error", f"the file was saved, but the graph stays as it is:\n{error}"))
            return []
        answer, events = self._apply(plan)
        if answer.error:
            hint = f" ({answer.suggestion})" if answer.suggestion else ""
            self._say(Tell("error", f"the file was saved, but the graph stays as it is: {answer.error}{hint}"))
        return events if answer.changes else []

    def _say(self, line: Tell) -> None:
        self._journal.note(line.level, line.text, line.instance)
        self._tell(line, self._supervisor)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Spawn):
                self._spawn(action)
            elif isinstance(action, Bury):
                self._bury(action.instance, action.life)
            elif isinstance(action, Send):
                self._control.send(action.instance, action.message)
            elif isinstance(action, Kill):
                self._launcher.kill(action.instance, action.signal)
            elif isinstance(action, Tell):
                self._say(action)
            elif isinstance(action, WriteEpoch):
                self._write(action.epoch)
            elif isinstance(action, Finish):
                self._finished = action.code

    def _spawn(self, action: Spawn) -> None:
        try:
            pid = self._launcher.spawn(action.instance, action.life, action.fallback)
        except NodeError as error:  # told with the next events: the others of this start are started first
            self._due += [Said(action.instance, Failed(str(error))), Exited(action.instance, NOT_STARTED)]
        else:
            self._report.spawned(action.instance, pid, action.life)

    def _write(self, epoch: Epoch) -> None:
        self._epoch = epoch
        for plan in reversed(epoch.plans):  # who leaves is counted to its end, and beyond
            self._report.replan(plan)
        self._directory.write_former(self._report.former(epoch))
        self._directory.write_epoch(epoch)
        self._launcher.replan(epoch)

    def _bury(self, instance: str, life: int) -> None:
        """Read what the dead had counted, and tell the others."""
        counts = Counts.read(self._directory.counts(instance, life))
        gone = Gone(instance, life)
        if counts is not None:
            sent = topics_of(self._report.node_of(instance), counts.sending)
            gone = Gone(instance, life, sent, counts.lane_counts())
            self._due.append(Left(Legacy(instance, life, positions(counts), sent, done=counts.origin[0])))
        else:
            self._due.append(Left(Legacy(instance, life)))
        self._report.buried(instance, counts)
        for other in self._supervisor.members:
            self._control.send(other, gone)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def note(number: int, frame: object) -> None:
            self._interruptions += 1

        for end in (self._woken, self._waker):
            end.setblocking(False)
        before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
