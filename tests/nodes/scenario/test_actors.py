"""The user, the stand-ins and the witness of a scenario, each by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graph.errors import NodeError
from graph.message import Mark, Message
from graph.testing import Harness
from nodes.kinds import AudioFrame, Played, ReplyBegins
from nodes.llm.base import Token
from nodes.scenario.base import Begin, Cue
from nodes.scenario.curtain import Curtain
from nodes.scenario.llm import ScenarioLlm
from nodes.scenario.sounds import sound_of
from nodes.scenario.stt import ScenarioStt
from nodes.scenario.tts import ScenarioTts
from nodes.scenario.user import FRAME_SAMPLES, User
from nodes.scenario.witness import Witness
from nodes.stt.base import TranscriptFinal
from nodes.tts.base import Spoken
from nodes.turn.base import TurnConfirmed, Utterance

from .test_sounds import QUESTION, SPEECH, step

SCRIPT: dict[str, list[Any]] = {"default": [{"say": QUESTION}]}


def test_the_curtain_rises_and_falls_by_itself_in_the_end() -> None:
    with Harness(Curtain, longest_s=5) as curtain:
        assert [sent.body for sent in curtain.run()] == [Begin()]
        assert curtain.clock_ns == 5_000_000_000


def due(user: Harness[User], frames: int) -> list[Any]:
    """So many frames, one at its time."""
    sent: list[Any] = []
    for _ in range(frames):
        assert user.clock_ns is not None
        user.clock_ns = max(user.clock_ns, user.node.due_ns)
        user.node.due_ns = 0
        sent += user._run(user.node.on_due(), Message(Mark("", 0)))
    return sent


def test_the_user_speaks_frame_by_frame_when_the_graph_is_ready() -> None:
    with Harness(User, script=SCRIPT, speech=SPEECH) as user:
        assert user.node.due_ns == 0
        user.feed("begin", Begin())
        frames = due(user, 40)
    assert [one.body.start for one in frames] == [index * FRAME_SAMPLES for index in range(40)]
    assert [one.origin_ns for one in frames] == [(index + 1) * 32_000_000 for index in range(40)]
    sound = sound_of(step(say=QUESTION), SPEECH, -70)[:FRAME_SAMPLES].tobytes()
    assert sound in [one.payload for one in frames]


def test_the_user_hears_the_reply_and_cues_what_is_to_be_done() -> None:
    steps = ["cough", {"kill": "stt", "at": {"into_reply": "0s"}}, {"silence": "1s", "at": {"after_confirmed": "0s"}}]
    with Harness(User, script={"anna": steps}, speech=SPEECH, listen_s=0.1) as user:
        user.feed("begin", Begin())
        assert not [one for one in due(user, 60) if isinstance(one.body, Cue)]
        user.feed("turn", TurnConfirmed(1, 400, "judge"), session="ben", turn=1)
        user.feed("played", ReplyBegins(), session="anna", turn=1)
        user.feed("turn", TurnConfirmed(1, 400, "judge"), session="anna", turn=1)
        user.feed("played", Played(), session="anna", turn=1)
        user.feed("played", ReplyBegins(), session="anna", turn=1)
        (order,) = [one for one in due(user, 2) if isinstance(one.body, Cue)]
        assert (order.body, order.session) == (Cue("order", 1), "anna")
        user.feed("played", Played(), session="anna", turn=1)
        assert [one.body for one in due(user, 60) if isinstance(one.body, Cue)] == [Cue("over")]


def test_the_voice_is_needed_only_for_what_was_never_spoken() -> None:
    config = User.Config(script=SCRIPT, speech=SPEECH)
    assert User.models(config) == ()
    assert User.models(User.Config(script={"default": [{"say": "never spoken"}]}, speech=SPEECH)) == ("kokoro-82m",)


def transcriber(**behaves: Any) -> Harness[ScenarioStt]:
    return Harness(ScenarioStt, script=SCRIPT, speech=SPEECH, behaves=behaves)


def heard(stt: Harness[ScenarioStt], turn: int = 1) -> list[str]:
    payload = sound_of(step(say=QUESTION), SPEECH, -70).tobytes()
    return [sent.body.text for sent in stt.feed("speech", Utterance(0), payload, turn=turn)]


def test_the_transcriber_understands_what_reaches_it_in_its_time() -> None:
    with transcriber(delay="300ms", turns={2: {"delay": "2s"}, 3: {"text": "hm"}}) as stt:
        assert heard(stt) == [QUESTION]
        assert stt.clock_ns == 300_000_000
        assert heard(stt, 2) == [QUESTION]
        assert stt.clock_ns == 2_300_000_000
        assert heard(stt, 3) == ["hm"]
        assert [one.mark.name for one in stt.marks] == ["transcript"] * 3


def test_the_transcriber_dies_of_a_fault() -> None:
    with transcriber(turns={1: {"fail": "the device is gone"}}) as stt, pytest.raises(NodeError, match=r"^the device is gone$"):
        heard(stt)


def reply(llm: Harness[ScenarioLlm], said: str, turn: int = 1) -> str:
    return "".join(sent.body.text for sent in llm.feed("text", TranscriptFinal(said), turn=turn))


def quick(**behaves: Any) -> dict[str, Any]:
    return {"delay": "0s", "word": "0s"} | behaves


def test_the_language_model_replies_as_told_and_tells_what_it_was_shown() -> None:
    with Harness(ScenarioLlm, behaves=quick(replies=["One.", "Two."])) as llm:
        assert [reply(llm, said, turn) for turn, said in enumerate(("a", "b", "c"), 1)] == ["One.", "Two.", "One."]
        shown = [json.loads(str(one.mark.fields["messages"])) for one in llm.marks if one.mark.name == "prompt"]
    assert [message["content"] for message in shown[1]] == ["a", "One.", "b"]


def test_without_replies_it_repeats_what_was_said() -> None:
    with Harness(ScenarioLlm, behaves=quick()) as llm:
        assert reply(llm, "How are you?") == "You said: How are you?"


def test_the_language_model_fails_or_says_nothing() -> None:
    with Harness(ScenarioLlm, behaves=quick(turns={1: {"fail": "no memory"}, 2: {"text": ""}})) as llm:
        assert reply(llm, "a") == ""
        assert llm.warnings == ["no reply in turn 1 of session 'default': no memory"]
        assert reply(llm, "b", 2) == ""


def spoken(tts: Harness[ScenarioTts], turn: int = 1) -> tuple[float, list[Spoken]]:
    """Seconds of sound, and what was said of it."""
    sent = tts.feed("text", Token("Seven days.", last=True), turn=turn)
    seconds = sum(len(one.payload) / 2 / 24_000 for one in sent if isinstance(one.body, AudioFrame))
    return seconds, [one.body for one in sent if isinstance(one.body, Spoken)]


def test_the_voice_lasts_as_long_as_its_letters() -> None:
    with Harness(ScenarioTts, behaves={"delay": "0s", "letter": "50ms"}) as tts:
        seconds, said = spoken(tts)
    assert seconds == pytest.approx(11 * 0.05 + 0.25, abs=0.05), "a pause follows a sentence"
    assert [one.text for one in said] == ["Seven days.", ""]


def test_a_recorded_voice_lasts_as_long_as_the_real_one_did(tmp_path: Path) -> None:
    file = tmp_path / "s.recording.json"
    clause = {"session": "default", "turn": 1, "revision": 0, "text": "Seven days.", "after_s": 0.0, "lasts_s": 1.5}
    file.write_text(json.dumps({"tts": [clause]}))
    with Harness(ScenarioTts, recording=file) as tts:
        assert spoken(tts)[0] == pytest.approx(1.5, abs=0.02)


def test_the_voice_is_silent_or_fails() -> None:
    with Harness(ScenarioTts, behaves={"delay": "0s", "turns": {1: {"silent": True}, 2: {"fail": "it gave up"}}}) as tts:
        assert [spoken(tts, turn)[0] for turn in (1, 2)] == [0, 0]
        assert tts.warnings == [
            "could not speak 'Seven days.': the engine made no sound",
            "could not speak 'Seven days.': RuntimeError: it gave up",
        ]


def test_the_witness_writes_everything_down_at_once(tmp_path: Path) -> None:
    with Harness(Witness, file=tmp_path / "w.jsonl") as witness:
        witness.feed("marks", Mark("transcript", 5, fields={"text": "hi"}), turn=2)
        witness.feed("played", ReplyBegins(), turn=2)
        witness.feed("played", Played("hello", interrupted=True), turn=2, session="anna")
        witness.feed("cue", Cue("order", 3))
        lines = [json.loads(line) for line in (tmp_path / "w.jsonl").read_text().splitlines()]
    common = {"session": "default", "turn": 2, "revision": 0, "by": "", "at_ns": 0}
    assert lines == [
        common | {"what": "transcript", "at_ns": 5, "text": "hi"},
        common | {"what": "reply.begins"},
        common | {"what": "reply.ends", "session": "anna", "text": "hello", "interrupted": True, "gaps": 0},
        common | {"what": "cue", "turn": 0, "name": "order", "step": 3},
    ]
