"""Loudspeaker and microphone in one room: the assistant answers the user, and nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from .graphs import graph_run
from .test_turn_taking import RATE_HZ, question, silence

pytestmark = pytest.mark.models

GRAPH = """\
name: room
nodes:
  capture: {{use: capture.file, with: {{path: "{folder}/user.wav", pace: realtime}}}}
  room: {{use: "tests.system.room_actors:Room", in: {{audio: capture.audio, heard: sink.heard}}}}
{echo}
  vad: {{use: vad.silero, in: {{audio: {ear}}}}}
  turn:
    use: turn.smart_turn
    in: {{audio: {ear}, speech: vad.speech, played: sink.played}}
  answer:
    use: "tests.system.room_actors:Speaker"
    in: {{speech: {{from: turn.utterance, link: queue}}, interrupt: turn.interrupt}}
    with: {{path: "{folder}/reply.wav"}}
  sink:
    use: sink.file
    in:
      audio: answer.audio
      user: room.mixed
      turn: turn.turn
      {steps_back}
      interrupt: turn.interrupt
    with: {{folder: "{folder}/out"}}
"""
WORDS = 10
REPLY_S = 5.0


def conversation(folder: Path, use: str, *pauses_s: float, steps_back: bool = True) -> list[dict[str, Any]]:
    """What was answered to a user who asks again after each of these pauses.

    The reply lasts five seconds; it steps back when the VAD hears speech, or goes on until it is interrupted.
    """
    asked = question(0)
    user = [silence(0.5), asked, *(part for pause_s in pauses_s for part in (silence(pause_s), asked)), silence(8)]
    soundfile.write(folder / "user.wav", np.concatenate(user), RATE_HZ)
    reply = np.concatenate([question(2), silence(0.2), question(1), silence(0.2), question(2)])
    soundfile.write(folder / "reply.wav", reply[: RATE_HZ * WORDS // 2], RATE_HZ)
    echo = f'  echo: {{use: "{use}", in: {{audio: room.mixed, heard: sink.heard}}}}' if use else ""
    ear, steps = "echo.clean" if use else "room.mixed", "speech: vad.speech" if steps_back else ""
    with graph_run(folder, GRAPH.format(folder=folder, echo=echo, ear=ear, steps_back=steps)) as run:
        run.running()
        assert run.wait() == 0, run.stderr
        run.all_gone()
    return [json.loads(line) for line in (folder / "out/turns.jsonl").read_text().splitlines()]


def heard(turns: list[dict[str, Any]]) -> list[tuple[int, bool]]:
    return [(turn["turn"], turn["interrupted"]) for turn in turns]


def lasted_s(turn: dict[str, Any]) -> float:
    return float(turn["end_s"] - turn["start_s"])


def test_without_an_echo_node_it_answers_itself(tmp_path: Path) -> None:
    first, second, *_ = conversation(tmp_path, "", steps_back=False)
    assert first["interrupted"], "though nobody spoke into it"
    assert second["start_s"] > first["end_s"]


def test_without_an_echo_node_it_steps_back_from_itself(tmp_path: Path) -> None:
    first, *_ = conversation(tmp_path, "")
    assert lasted_s(first) > 1.25 * REPLY_S


def test_the_users_turns_are_all_there_are_and_the_user_may_interrupt(tmp_path: Path) -> None:
    pytest.importorskip("pywebrtc_audio", reason="needs the extra 'echo'")
    first, second, third = conversation(tmp_path, "nodes.echo.webrtc:Webrtc", 8, 3)
    assert not first["interrupted"]
    assert len(first["reply"].split()) == WORDS
    assert lasted_s(first) < 1.05 * REPLY_S, "it did not step back from itself"
    assert second["interrupted"]
    assert 1 <= len(second["reply"].split()) < WORDS
    assert not third["interrupted"]


def test_half_duplex_hears_nobody_in_a_reply(tmp_path: Path) -> None:
    first, second = conversation(tmp_path, "nodes.echo.half_duplex:HalfDuplex", 8, 3)
    assert not first["interrupted"]
    assert not second["interrupted"]
    assert lasted_s(second) < 1.05 * REPLY_S
