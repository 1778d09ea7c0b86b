"""Models are swapped in the middle of a conversation, while the user talks and while the assistant does: no turn is lost, split
or answered twice, and what was said before is remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from graph.scenarios.word_error import total, word_error
from nodes.marks import FIRST_AUDIO, FIRST_CLAUSE, FIRST_TOKEN, LAST_SPOKEN_SAMPLE, PLAYED, REPLY, TRANSCRIPT, TURN_CONFIRMED

from .conversation_actors import FIRST_ASKED
from .graphs import ROOT, GraphRun, eventually, graph_run
from .test_commands import graph

QUESTIONS = (ROOT / "examples/audio/questions.txt").read_text().splitlines()
SPEECH_STARTED = "speech.started"
REMEMBERING = "tests.system.conversation_actors:Remembering"
SWAPS = (  # of every kind of model
    ("stt", "--with", "model=tiny.en"),
    ("llm", "--use", REMEMBERING),
    ("tts", "--use", "tts.piper"),  # the last one: while a reply is spoken it waits until all of that is made
)

pytestmark = pytest.mark.models


@dataclass(frozen=True)
class Swap:
    """One that is done; monotonic ns."""

    node: str
    successor: str  # its process
    ordered_ns: int
    done_ns: int


@dataclass
class Conversation:
    """One that is held; `say` gives the user orders (`conversation_actors.User`)."""

    run: GraphRun
    swaps: list[Swap] = field(default_factory=list)

    def say(self, *orders: object) -> None:
        with (self.run.folder / "orders").open("a") as file:
            file.writelines(f"{order}\n" for order in orders)

    def seen(self, what: str, **fields: object) -> list[dict[str, Any]]:
        """What was witnessed so far of a kind."""
        lines = map(json.loads, (self.run.folder / "witnessed").read_text().splitlines())
        return [line for line in lines if line["what"] == what and fields.items() <= line.items()]

    def last(self, what: str, turn: int) -> list[dict[str, Any]]:
        """The same, of the revision of a turn that was confirmed."""
        (confirmed,) = self.seen(TURN_CONFIRMED, turn=turn)
        return self.seen(what, turn=turn, revision=confirmed["revision"])

    def until(self, what: str, after_ns: int = 0, **fields: object) -> dict[str, Any]:
        """Wait until something has happened and give it; audio is marked when it is written, a little before it is heard."""
        found: dict[str, Any] = eventually(
            lambda: [one for one in self.seen(what, **fields) if after_ns < one["at_ns"] < time.monotonic_ns()],
            f"{what} {fields}\n{self.run.stderr}",
        )[0]
        return found

    def swap(self, node: str, *change: str) -> None:
        """Replace a node; the others keep their processes."""
        before = self.pids()
        ordered_ns = time.monotonic_ns()
        told = graph(self.run.runtime, "swap", node, *change)
        done_ns = time.monotonic_ns()
        assert told.returncode == 0, told.stderr + self.run.stderr
        after = self.pids()
        ((left, _),) = before.items() - after.items()
        ((successor, _),) = after.items() - before.items()
        assert {name.split("+")[0] for name in (left, successor)} == {node}
        self.swaps.append(Swap(node, successor, ordered_ns, done_ns))

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.run.workers().items()}

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The marks of the turns, from the report."""
        return [turn["marks"] for turn in self.run.report["turns"]]

    def check(self, asked: list[list[int]]) -> None:
        """Each turn is there, whole, and answered once. `asked`: the questions of each."""
        report = self.run.report
        assert [turn["turn"] for turn in report["turns"]] == list(range(1, len(asked) + 1))
        heard = [marks[TRANSCRIPT]["text"] for marks in self.turns]
        said = [" ".join(QUESTIONS[number] for number in numbers) for numbers in asked]
        assert total(map(word_error, said, heard)).rate <= 0.1, heard
        for number, marks in enumerate(self.turns, 1):
            for what in (TURN_CONFIRMED, FIRST_AUDIO, PLAYED):
                assert len(self.seen(what, turn=number)) == 1, (what, number)
            for what in (TRANSCRIPT, FIRST_TOKEN, REPLY):  # what went ahead in vain is of an earlier revision
                assert len(self.last(what, number)) == 1, (what, number)
            assert word_error(marks[REPLY]["text"], marks[PLAYED]["text"]).errors == 0, "it is spoken whole"
        lines = [json.loads(line) for line in (self.run.folder / "out/turns.jsonl").read_text().splitlines()]
        assert [line["turn"] for line in lines] == list(range(1, len(asked) + 1))
        for edge in report["edges"]:
            assert edge["rejected"] == 0, edge
            assert edge["dropped"] == 0 or edge["edge"].startswith("sink.played->"), edge  # the last words come to nobody
            assert edge["sent"] == edge["delivered"] + edge["stale"] + edge["dropped"], edge

    def check_successor(self, swap: Swap, turn: int) -> None:
        """The one who has taken over has done its part of a turn."""
        (done,) = self.last({"stt": TRANSCRIPT, "llm": REPLY, "tts": FIRST_CLAUSE}[swap.node], turn)
        assert done["by"] == swap.successor

    def asked(self) -> list[int]:
        """The questions that the user has spoken, or begun to."""
        return [int(line) for line in (self.run.folder / "orders.said").read_text().split()]


@contextmanager
def conversation(folder: Path, *llm: str) -> Iterator[Conversation]:
    """The default graph with a user that takes orders and somebody who watches. `llm`: more parameters, a line each."""
    text = (ROOT / "pipelines.yaml").read_text()
    for was, now in (
        ("path: examples/audio/questions.wav", f"path: examples/audio/questions.wav\n      orders: {folder}/orders"),
        ("\n      pace: realtime", ""),
        ("use: capture.file", 'use: "tests.system.conversation_actors:User"'),
        ("model: smollm2-135m", "\n      ".join(("model: smollm2-135m", *llm))),
        ("folder: out", f"folder: {folder}/out"),
        ("use: metrics.console", 'use: "tests.system.conversation_actors:Witness"'),
        ('{marks: "*.telemetry"}', f'{{marks: "*.telemetry", speech: vad.speech}}\n    with: {{file: {folder}/witnessed}}'),
    ):
        assert was in text
        text = text.replace(was, now)
    (folder / "orders").touch()
    with graph_run(folder, text) as run:
        run.running()
        held = Conversation(run)
        yield held
        held.say("end")
        assert run.wait() == 0, run.stderr
        run.all_gone()


@pytest.mark.timeout(300)
def test_models_are_swapped_while_the_user_is_talking(tmp_path: Path) -> None:
    swaps = (*SWAPS, ("llm", "--use", "llm.llama_cpp", "--with", "max_tokens=16"))
    with conversation(tmp_path, "max_tokens: 16") as held:
        held.say(0)
        held.until(PLAYED, turn=1)
        began_ns, asked = [], [[0]]
        for turn, (node, *change) in enumerate(swaps, 2):
            held.say("on")  # and on, until it is done
            began_ns.append(held.until(SPEECH_STARTED, after_ns=time.monotonic_ns())["at_ns"])
            held.swap(node, *change)
            held.say("off")
            held.until(PLAYED, turn=turn)
            asked.append(held.asked()[sum(map(len, asked)) :])
    held.check(asked)
    first, *others = held.turns
    for turn, (begin_ns, swap, marks) in enumerate(zip(began_ns, held.swaps, others, strict=True), 2):
        assert begin_ns < swap.ordered_ns < swap.done_ns < marks[LAST_SPOKEN_SAMPLE]["at_ns"], swap
        held.check_successor(swap, turn)
    assert others[1][REPLY]["text"] == f"{FIRST_ASKED} {first[TRANSCRIPT]['text']}", "another engine knows what SmolLM2 did"
    said = [marks[what]["text"] for marks in held.turns for what in (TRANSCRIPT, REPLY)]
    longer = others[-1][FIRST_TOKEN]["prompt_tokens"] - first[FIRST_TOKEN]["prompt_tokens"]
    assert longer >= sum(len(text.split()) for text in said[1:-1]), "SmolLM2, back again, is given all that was said"


@pytest.mark.timeout(300)
def test_models_are_swapped_while_the_assistant_is_talking(tmp_path: Path) -> None:
    with conversation(tmp_path, "system: Tell a long story.", "max_tokens: 40") as held:
        held.say(0)
        held.until(FIRST_AUDIO, turn=1)
        for node, *change in SWAPS:
            held.swap(node, *change)
        held.until(PLAYED, turn=1)
        for node, *change in (("turn", "--with", "threshold=0.6"), ("vad", "--with", "min_silence_ms=120")):
            held.swap(node, *change)  # while nobody talks
        held.say(1)
        held.until(PLAYED, turn=2)
    held.check([[0], [1]])
    first, second = held.turns
    for swap in held.swaps[: len(SWAPS)]:
        assert first[FIRST_AUDIO]["at_ns"] < swap.ordered_ns < swap.done_ns < first[PLAYED]["at_ns"], swap
        held.check_successor(swap, 2)
    assert second[REPLY]["text"] == f"{FIRST_ASKED} {first[TRANSCRIPT]['text']}", "another engine knows what SmolLM2 did"
    changed = (tmp_path / "graph.yaml").read_text()
    assert "model: tiny.en" in changed
    assert "use: tts.piper" in changed
    assert "# takes as many threads as there are cores, less one" in changed, "comments stay"
