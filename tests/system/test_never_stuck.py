"""Whatever becomes of a turn, it ends, and the next one is answered: where a process dies it is answered, too, as soon as the
next life can; where that cannot be, it is told why not. With a real VAD and a real judge."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nodes.marks import FIRST_AUDIO, PLAYED, TRANSCRIPT, TURN_CONFIRMED, TURN_FAILED

from .graphs import ROOT, eventually, graph_run
from .test_swap_conversation import Conversation

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

GRAPH = """\
name: troubled
nodes:
  capture:
    use: "tests.system.conversation_actors:User"
    with: {{path: "{root}/examples/audio/questions.wav", orders: "{folder}/orders"}}
  vad: {{use: vad.silero, in: {{audio: capture.audio}}}}
  turn:
    use: turn.smart_turn
    in: {{audio: capture.audio, speech: vad.speech, played: sink.played, words: stt.trial}}
    with: {{reply_within_s: {patience_s}, apology: "{apology}"}}
  stt:
    use: "tests.system.troubled_actors:Transcriber"
    in: {{speech: {{from: turn.utterance, link: queue, delivery: at_least_once}}, interrupt: turn.interrupt}}
    with: {{trouble: "{stt}"}}
  llm:
    use: "tests.system.troubled_actors:Model"
    in:
      text: {{from: stt.text, link: queue, delivery: at_least_once}}
      interrupt: turn.interrupt
      played: {{from: sink.played, link: queue, when_full: drop_oldest}}
    with: {{model: smollm2-135m, trouble: "{llm}"}}
  tts:
    use: "tests.system.troubled_actors:Voice"
    in:
      text:
        - {{from: llm.tokens, link: queue, delivery: at_least_once}}
        - {{from: turn.apology, link: queue, delivery: at_least_once}}
      interrupt: turn.interrupt
    restart: {{max: 20}}  # each clause may be the death of two
    with: {{trouble: "{tts}"}}
  sink:
    use: sink.file
    in:
      audio: tts.audio
      turn: turn.turn
      speech: vad.speech
      interrupt: turn.interrupt
      user: capture.audio
      transcript: stt.text
    with: {{folder: "{folder}/out", patience_s: {patience_s}}}
  witness:
    use: "tests.system.conversation_actors:Witness"
    in: {{marks: "*.telemetry", speech: vad.speech}}
    with: {{file: "{folder}/witnessed"}}
"""
APOLOGY = "Sorry, that did not work."
PATIENT_S = 60  # a busy machine takes long to start a process


@contextmanager
def troubled(
    folder: Path, apology: str = APOLOGY, patience_s: int = 3, stt: str = "", llm: str = "", tts: str = ""
) -> Iterator[Conversation]:
    text = GRAPH.format(root=ROOT, folder=folder, apology=apology, patience_s=patience_s, stt=stt, llm=llm, tts=tts)
    (folder / "orders").touch()
    with graph_run(folder, text) as run:
        run.running()
        held = Conversation(run)
        yield held
        held.say("end")
        assert run.wait() == 0, run.stderr
        run.all_gone()


def answered(held: Conversation, turn: int = 2) -> None:
    """The next question is answered, and only that."""
    before = len(held.seen(PLAYED))
    held.say(1)
    played = held.until(PLAYED, turn=turn)
    assert played["text"].count(f"about question {turn}.") == 6
    assert len(held.seen(PLAYED)) == before + 1


def killed(held: Conversation, node: str) -> None:
    """A node dies in the middle of what it does, and is there again."""
    pid = held.pids()[node]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: held.pids().get(node, pid) != pid, f"{node} is started again")


def marks(held: Conversation, turn: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = next(one["marks"] for one in held.run.report["turns"] if one["turn"] == turn)
    return found


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        ({"stt": "late"}, "nothing was heard within 3 s"),
        ({"llm": "late"}, "nothing was heard within 3 s"),
        ({"llm": "error"}, "the language model failed: out of memory"),
        ({"llm": "nothing"}, "the language model said nothing"),
        ({"tts": "mute"}, "the voice made no sound"),
        ({"tts": "broken"}, "the voice made no sound"),
    ],
    ids=lambda value: "".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_a_turn_that_fails_ends_with_its_cause_and_an_apology(tmp_path: Path, trouble: dict[str, str], cause: str) -> None:
    with troubled(tmp_path, **trouble) as held:
        held.say(0)
        assert held.until(TURN_FAILED, turn=1)["cause"] == cause
        assert held.until(PLAYED, text=APOLOGY)["turn"] == 1
        answered(held)
    assert marks(held)[TURN_FAILED]["cause"] == cause
    assert {TURN_CONFIRMED, FIRST_AUDIO} <= marks(held).keys()
    assert TURN_FAILED not in marks(held, 2)


def test_who_was_not_understood_gets_no_apology(tmp_path: Path) -> None:
    with troubled(tmp_path, stt="empty") as held:
        held.say(0)
        assert held.until(TURN_FAILED, turn=1)["cause"] == "nothing was understood"
        answered(held)
    assert FIRST_AUDIO not in marks(held)
    assert marks(held)[TRANSCRIPT]["text"] == ""


def test_without_an_apology_it_ends_in_silence(tmp_path: Path) -> None:
    with troubled(tmp_path, apology="", llm="error") as held:
        held.say(0)
        held.until(TURN_FAILED, turn=1)
        answered(held)
    assert FIRST_AUDIO not in marks(held)


def test_a_reply_that_breaks_off_was_heard_as_far_as_it_went(tmp_path: Path) -> None:
    with troubled(tmp_path, llm="breaks") as held:
        held.say(0)
        assert held.until(TURN_FAILED, turn=1)["cause"] == "the language model failed: out of memory"
        assert held.seen(PLAYED, turn=1)[0]["text"].count("about question 1.") == 3
        held.until(PLAYED, text=APOLOGY)
        answered(held)


@pytest.mark.parametrize(
    ("node", "trouble", "when"),
    [
        ("stt", {"stt": "slow"}, TURN_CONFIRMED),
        ("llm", {"llm": "thinks"}, TRANSCRIPT),
        ("llm", {"llm": "slow"}, FIRST_AUDIO),
        ("tts", {"tts": "slow"}, FIRST_AUDIO),
    ],
    ids=["stt at work", "llm before its first word", "llm in mid-reply", "tts in mid-reply"],
)
def test_a_turn_whose_stage_dies_is_answered_once_and_whole(
    tmp_path: Path, node: str, trouble: dict[str, str], when: str
) -> None:
    with troubled(tmp_path, patience_s=PATIENT_S, **trouble) as held:  # type: ignore[arg-type]
        held.say(0)
        held.until(TURN_CONFIRMED, turn=1)
        held.until(when, turn=1)
        assert held.seen(PLAYED) == []
        killed(held, node)
        assert held.until(PLAYED, turn=1)["text"] == " ".join(6 * ["This is about question 1."])
        answered(held)
    assert len(held.seen(FIRST_AUDIO, turn=1)) == 1
    assert held.seen(TURN_FAILED) == []


@pytest.mark.parametrize("node", ["stt", "llm", "tts"])
def test_a_stage_that_dies_of_a_turn_each_time_ends_it(tmp_path: Path, node: str) -> None:
    with troubled(tmp_path, **{node: "dies"}) as held:  # type: ignore[arg-type]
        held.say(0)
        assert held.until(TURN_FAILED, turn=1)["cause"] == "nothing was heard within 3 s"
        held.until(PLAYED, text=APOLOGY)
        answered(held)
    assert len(held.seen(PLAYED)) == 2


def test_a_turn_ends_where_the_vad_hangs(tmp_path: Path) -> None:
    with troubled(tmp_path) as held:
        held.say(0)
        held.until("speech.started")
        vad = held.run.workers()["vad"]
        vad.suspend()
        assert "about question 1." in held.until(PLAYED, turn=1)["text"]
        vad.resume()
        answered(held)
    assert "is ended without it: the VAD has told nothing for" in held.run.stderr


def test_turns_are_taken_by_whoever_comes_after_the_one_that_died(tmp_path: Path) -> None:
    with troubled(tmp_path, llm="slow") as held:
        held.say(0)
        held.until(FIRST_AUDIO, turn=1)
        held.say(1)  # interrupts: every node has now been told that what is older is stale
        held.until(PLAYED, turn=2)
        killed(held, "turn")
        answered(held, 3)


def test_a_question_is_answered_though_nobody_heard_its_end(tmp_path: Path) -> None:
    with troubled(tmp_path) as held:
        held.say(0)
        held.until("speech.started")
        killed(held, "vad")
        assert "about question 1." in held.until(PLAYED, turn=1)["text"]
        answered(held)


def test_the_next_turn_is_heard_where_the_sink_died_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    with troubled(tmp_path) as held:
        held.say(0)
        held.until(FIRST_AUDIO, turn=1)
        killed(held, "sink")
        held.say(1)
        assert held.until(PLAYED, turn=2)["text"].count("about question 2.") == 6
