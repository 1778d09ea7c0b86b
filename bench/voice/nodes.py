"""Our own arm: who asks the questions, and who writes down when what happened. All between them is the engine as it is."""

from __future__ import annotations

from collections.abc import Iterator

from bench.recover.ends import folder
from bench.voice.script import ASKED, FRAME_SAMPLES, SAMPLE_RATE_HZ, Floor, Notes, Over, frames, noted, questions
from graph.message import Mark, Message
from graph.node import NodeConfig, Runtime, Step, Until
from nodes.capture.base import CaptureNode
from nodes.kinds import AudioFrame
from nodes.marks import FIRST_AUDIO, PLAYED
from nodes.metrics.base import MetricsNode


class Asker(CaptureNode):
    """Asks in real time, and waits for each reply."""

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._stopped = False

    def setup(self) -> None:
        self._sounds, self._notes = questions(), Notes()

    def over(self) -> Over | None:
        """When the next question begins; None: after the reply."""
        return None

    def run(self) -> Iterator[Step]:
        def asked(number: int, at_ns: int) -> None:
            self._notes.take(ASKED, at_ns, number)

        spoken = frames(self._sounds, self.runtime.now_ns(), NotedFloor(), asked, self.over())
        for index, (due_ns, payload) in enumerate(spoken):
            yield Until(due_ns)
            if self._stopped:
                return
            yield self.audio(AudioFrame(SAMPLE_RATE_HZ, index * FRAME_SAMPLES), payload, origin_ns=due_ns)

    def stop(self) -> None:
        self._stopped = True


class NotedFloor:
    """A source has no inputs, so it looks at what the other has written since it last looked."""

    def __init__(self, name: str = "notes") -> None:
        self._name = name
        self._seen = 0  # bytes of the notes
        self._floor = Floor()

    def __call__(self) -> Floor:
        notes, self._seen = noted(folder(), self._seen, self._name)
        for note in notes:
            if note["name"] == FIRST_AUDIO:
                self._floor = self._floor._replace(began_ns=note["at_ns"])
            elif note["name"] == PLAYED:
                self._floor = self._floor._replace(ended_ns=note["at_ns"])
        return self._floor


class Recorder(MetricsNode):
    """Writes every mark down."""

    def setup(self) -> None:
        self._notes = Notes()

    def on_marks(self, message: Message[Mark]) -> None:
        mark = message.body
        if message.turn:
            self._notes.take(mark.name, mark.at_ns, message.turn, message.revision, str(mark.fields.get("text", "")))
