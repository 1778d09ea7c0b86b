"""Who asks in every session, and who writes down what happened in it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import partial

from bench.sessions.script import session_name, shared_out
from bench.voice.nodes import NotedFloor
from bench.voice.script import ASKED, FRAME_SAMPLES, SAMPLE_RATE_HZ, Notes, frames, questions
from graph.message import Mark, Message
from graph.node import NodeConfig, Runtime, Step, Until
from nodes.capture.base import CaptureNode
from nodes.kinds import AudioFrame
from nodes.metrics.base import MetricsNode


class CrowdConfig(NodeConfig):
    sessions: int = 1


class Crowd(CaptureNode):
    """Everybody asks in real time, and waits for the reply; the questions are shared out in equal parts."""

    Config = CrowdConfig
    config: CrowdConfig

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._stopped = False

    def run(self) -> Iterator[Step]:
        sounds, began_ns = questions(), self.runtime.now_ns()
        parts = shared_out(sounds, self.config.sessions)
        talks = [self._talk(number, part, began_ns) for number, part in enumerate(parts)]
        for due_ns, number, start, payload in heapq.merge(*talks):
            yield Until(due_ns)
            if self._stopped:
                return
            yield self.audio(AudioFrame(SAMPLE_RATE_HZ, start), payload, session=session_name(number), origin_ns=due_ns)

    def _talk(self, number: int, sounds: list[bytes], began_ns: int) -> Iterator[tuple[int, int, int, bytes]]:
        name = session_name(number)
        asked = partial(self._asked, Notes(name))
        spoken = frames(sounds, began_ns, NotedFloor(name), asked)
        for index, (due_ns, payload) in enumerate(spoken):
            yield due_ns, number, index * FRAME_SAMPLES, payload

    @staticmethod
    def _asked(notes: Notes, number: int, at_ns: int) -> None:
        notes.take(ASKED, at_ns, number)

    def stop(self) -> None:
        self._stopped = True


class Recorder(MetricsNode):
    """Writes every mark down, with its session's."""

    def setup(self) -> None:
        self._notes: dict[str, Notes] = {}

    def on_marks(self, message: Message[Mark]) -> None:
        mark, session = message.body, message.session
        if message.turn:
            notes = self._notes.setdefault(session, Notes(session))
            notes.take(mark.name, mark.at_ns, message.turn, message.revision, str(mark.fields.get("text", "")))
