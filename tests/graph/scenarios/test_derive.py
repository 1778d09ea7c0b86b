"""From a graph and a scenario to what is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graph.errors import SpecError
from graph.scenarios.derive import Held, derive, swapped
from graph.scenarios.spec import read_scenario
from graph.scenarios.steps import Swap
from graph.yaml_text import parse

GRAPH = """\
name: assistant
nodes:
  mic: {use: capture.microphone, with: {device: 3}}
  vad: {use: vad.silero, in: {audio: mic.audio}}
  turn: {use: turn.smart_turn, in: {audio: mic.audio, speech: vad.speech, played: out.played}}
  stt: {use: stt.faster_whisper, in: {speech: {from: turn.utterance, link: queue}}, with: {model: base}, replicas: 2}
  llm: {use: llm.llama_cpp, in: {text: stt.text}}
  tts: {use: tts.piper, in: {text: llm.tokens}}
  out: {use: sink.speaker, in: {audio: tts.audio}}
  metrics: {use: metrics.console, in: {marks: "*.telemetry"}}
"""
SCENARIO = """\
title: t
user: [cough, {file: a.wav}]
models: {llm: {replies: [Seven.]}}
expect: {turns: []}
"""


def held(folder: Path, text: str = SCENARIO, **how: Any) -> Held:
    (folder / "s.yaml").write_text(text)
    return Held(read_scenario(folder / "s.yaml", {}), folder / "kept", folder / "speech", **how)


def derived(one: Held, graph: str = GRAPH) -> dict[str, Any]:
    found: dict[str, Any] = derive(one, parse(graph, "g.yaml")[0]).data
    return found


def test_the_user_files_stand_ins_and_a_witness_take_part(tmp_path: Path) -> None:
    graph = derived(held(tmp_path))
    nodes = graph["nodes"]
    assert graph["name"] == "s"
    assert {name: node["use"] for name, node in nodes.items()} == {
        "mic": "scenario.user",
        "vad": "vad.silero",
        "turn": "turn.smart_turn",
        "stt": "scenario.stt",
        "llm": "scenario.llm",
        "tts": "scenario.tts",
        "out": "sink.file",
        "curtain": "scenario.curtain",
        "witness": "scenario.witness",
    }
    assert nodes["mic"]["in"] == {"begin": "curtain.begin", "played": "out.played", "turn": "turn.turn"}
    assert nodes["mic"]["with"]["script"] == {"default": ["cough", {"file": str(tmp_path / "a.wav")}]}
    assert nodes["out"]["in"] == {"audio": "tts.audio", "user": "mic.audio", "transcript": "stt.text"}
    assert nodes["llm"]["with"] == {"behaves": {"replies": ["Seven."]}}
    assert nodes["stt"]["replicas"] == 2, "all else is as the graph says"
    assert nodes["stt"]["in"] == {"speech": {"from": "turn.utterance", "link": "queue"}}
    assert nodes["witness"]["in"] == {"marks": ["*.telemetry"], "played": "out.played", "cue": "mic.cue"}


def test_real_models_stay_but_where_the_scenario_is_about_their_faults(tmp_path: Path) -> None:
    text = SCENARIO.replace("models: {", "models: {tts: {turns: {1: {silent: true}}}, ")
    nodes = derived(held(tmp_path, text, real=True))["nodes"]
    assert [nodes[name]["use"] for name in ("stt", "llm", "tts")] == ["stt.faster_whisper", "llm.llama_cpp", "scenario.tts"]


def test_to_record_the_witness_hears_what_goes_to_the_models_and_comes_from_them(tmp_path: Path) -> None:
    hears = derived(held(tmp_path, real=True, record=True))["nodes"]["witness"]["in"]
    assert {k: hears[k] for k in ("utterance", "text", "tokens", "audio")} == {
        "utterance": "turn.utterance",
        "text": "stt.text",
        "tokens": "llm.tokens",
        "audio": "tts.audio",
    }


@pytest.mark.parametrize(("pace", "paced"), [("fast", False), ("realtime", None)])
def test_where_nobody_listens_in_real_time_the_voice_does_not_wait(tmp_path: Path, pace: str, paced: bool | None) -> None:
    assert derived(held(tmp_path, f"pace: {pace}\n{SCENARIO}"))["nodes"]["tts"]["with"].get("paced") == paced


def test_a_recording_is_replayed(tmp_path: Path) -> None:
    (tmp_path / "s.recording.json").write_text("{}")
    assert derived(held(tmp_path))["nodes"]["stt"]["with"]["recording"] == str(tmp_path / "s.recording.json")
    assert "recording" not in derived(held(tmp_path, real=True))["nodes"]["stt"].get("with", {})


def test_what_the_scenario_lays_over_the_graph(tmp_path: Path) -> None:
    nodes = derived(held(tmp_path, f"{SCENARIO}overlay: {{nodes: {{stt: {{replicas: 3}}}}}}\n"))["nodes"]
    assert nodes["stt"]["replicas"] == 3


def test_another_version_of_a_stand_in_and_of_a_real_node(tmp_path: Path) -> None:
    swap = {"stt": Swap.model_validate({"with": {"model": "tiny.en"}})}
    for real, parameter in ((False, ("version", 2)), (True, ("model", "tiny.en"))):
        one = held(tmp_path, real=real)
        tree = derive(one, parse(GRAPH, "g.yaml")[0])
        name, value = parameter
        assert swapped(one, tree, swap).data["nodes"]["stt"]["with"][name] == value


def test_who_cannot_be_found(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        derived(held(tmp_path), GRAPH.replace("sink.speaker", "my:Sink"))
    assert str(caught.value) == "pipelines.yaml: no node is the sink (name it in the scenario: roles: {sink: NODE})"
    nodes = derived(held(tmp_path, f"{SCENARIO}roles: {{sink: out}}\n"), GRAPH.replace("sink.speaker", "my:Sink"))["nodes"]
    assert nodes["out"]["use"] == "sink.file"
    with pytest.raises(SpecError, match=r"s\.yaml:5:15: the graph has no node 'nobody'$"):
        derived(held(tmp_path, f"{SCENARIO}roles: {{sink: nobody}}\n"))
