"""From a graph and a scenario to the graph that is run: the user for the capture node, files for the sink, stand-ins for the
models, and a witness. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph.errors import SpecError
from graph.scenarios.spec import ROLES, ScenarioFile
from graph.scenarios.steps import Swap, by_session
from graph.source import Located, Place, overlay

MODELS = ("stt", "llm", "tts")
NEEDED = ("capture", "sink")
RECORDED = (  # role, its output, the witness' input
    ("turn", "utterance", "utterance"),
    ("stt", "text", "text"),
    ("llm", "tokens", "tokens"),
    ("tts", "audio", "audio"),
)
CURTAIN, WITNESS = "curtain", "witness"
LONGEST_S, LONGEST_OF_REAL_MODELS_S = 180.0, 600.0
LEFT_ALONE_S = 60.0  # after that, a graph ends by itself
PATIENCE_OF_REAL_MODELS = 3  # times: other work may run on the machine


@dataclass(frozen=True)
class Held:
    """How a scenario is held."""

    file: ScenarioFile
    folder: Path  # for what it writes
    speech: Path  # the folder of spoken texts
    real: bool = False  # with the real models
    record: bool = False  # what they say is written down

    @property
    def longest_s(self) -> float:
        """A scenario that is not over by then has failed."""
        return LONGEST_OF_REAL_MODELS_S if self.real else LONGEST_S

    @property
    def witnessed(self) -> Path:
        return self.folder / "witnessed.jsonl"

    def stands_in(self, role: str) -> bool:
        """True where a stand-in takes the place of a model."""
        return role in MODELS and (not self.real or self.file.scenario.models.needed(role))


def roles(held: Held, graph: Located) -> dict[str, str]:
    """Who is who in a graph: the node that the scenario names, else the first whose `use` begins so, else one of that name.

    :raises SpecError: nobody captures sound, or plays it, or the scenario names a node that there is not.
    """
    nodes = graph.mapping["nodes"].mapping if "nodes" in graph.mapping else {}
    said = held.file.tree.at(("roles",)).mapping if "roles" in held.file.tree.mapping else {}
    found, problems = {}, []
    for role in ROLES:
        uses = [name for name, node in nodes.items() if _use(node).startswith(f"{role}.")]
        if role in said:
            found[role] = str(said[role].value)
            if found[role] not in nodes:
                problems.append(said[role].place.problem(f"the graph has no node '{found[role]}'", found[role]))
        elif uses or role in nodes:
            found[role] = uses[0] if uses else role
        elif role in NEEDED:
            place = Place(str(held.file.graph))
            problems.append(place.problem(f"no node is the {role}", "", f"name it in the scenario: roles: {{{role}: NODE}}"))
    if problems:
        raise SpecError(problems)
    return found


def derive(held: Held, graph: Located) -> Located:
    """The graph that is run.

    :raises SpecError: as `roles`.
    """
    here = Place(str(held.file.path))
    said = held.file.tree.mapping.get("overlay")
    if said is not None:
        graph = overlay(graph, said)
    who = roles(held, graph)
    over = {"name": held.file.name[:64], "nodes": {**_without_metrics(graph), **_actors(held, who)}}
    return overlay(graph, _located(over, here))


def swapped(held: Held, graph: Located, swap: Mapping[str, Swap]) -> Located:
    """A derived graph with another version of a node."""
    ((name, how),) = swap.items()
    node = graph.at(("nodes", name))
    change: dict[str, Any] = {"with": how.parameters} | ({"use": how.use} if how.use else {})
    if _use(node).startswith("scenario."):
        change = {"with": {"version": 2}}
    return overlay(graph, _located({"nodes": {name: change}}, Place(str(held.file.path))))


def _without_metrics(graph: Located) -> dict[str, None]:
    """Nodes that only show what happens."""
    nodes = graph.mapping["nodes"].mapping
    return {name: None for name, node in nodes.items() if _use(node).startswith("metrics.")}


def _use(node: Located) -> str:
    return str(node.mapping["use"].value) if "use" in node.mapping else ""


def _actors(held: Held, who: Mapping[str, str]) -> dict[str, Any]:
    scenario, capture, sink = held.file.scenario, who["capture"], who["sink"]
    patience = scenario.patience * (PATIENCE_OF_REAL_MODELS if held.real else 1)
    sound = {"speech": str(held.speech), "room_db": scenario.room_db}
    script = {"script": _script(held), **sound}
    hears = {"begin": f"{CURTAIN}.begin", "played": f"{sink}.played"}
    if "turn" in who:
        hears["turn"] = f"{who['turn']}.turn"
    user = {**script, "pace": scenario.pace, "listen_s": scenario.listen, "patience_s": patience}
    actors: dict[str, Any] = {
        CURTAIN: {"use": "scenario.curtain", "with": {"longest_s": held.longest_s + LEFT_ALONE_S}},
        capture: {"use": "scenario.user", "in": hears, "with": user},
        sink: {"use": "sink.file", "in": {"user": f"{capture}.audio"}, "with": {"folder": str(held.folder / "out")}},
        WITNESS: {"use": "scenario.witness", "in": _witnessed(held, who), "with": {"file": str(held.witnessed)}},
    }
    if "stt" in who:
        actors[sink]["in"]["transcript"] = f"{who['stt']}.text"
    for role in who.keys() & set(MODELS):
        if held.stands_in(role):
            behaves = held.file.tree.at(("models", role)).data if held.file.tree.has(("models", role)) else {}
            parameters: dict[str, Any] = {"behaves": behaves or {}}
            if held.file.recording.exists() and not held.real:
                parameters["recording"] = str(held.file.recording)
            if role == "tts" and scenario.pace == "fast":
                parameters["paced"] = False
            actors[who[role]] = {"use": f"scenario.{role}", "with": parameters | (script if role == "stt" else {})}
    return actors


def _witnessed(held: Held, who: Mapping[str, str]) -> dict[str, Any]:
    heard: dict[str, Any] = {"marks": ["*.telemetry"], "played": f"{who['sink']}.played", "cue": f"{who['capture']}.cue"}
    if held.record:
        for role, output, input in RECORDED:
            if role in who:
                heard[input] = f"{who[role]}.{output}"
    return heard


def _script(held: Held) -> Any:
    """As it stands in the file; where its recordings lie no longer counts from there."""
    folder = held.file.path.parent
    script = by_session(held.file.tree.at(("user",)).data)
    return {session: [_from(folder, step) for step in steps] for session, steps in script.items()}


def _from(folder: Path, step: Any) -> Any:
    return step | {"file": str((folder / step["file"]).resolve())} if isinstance(step, dict) and "file" in step else step


def _located(value: Any, place: Place) -> Located:
    """Data as if it stood at a place of a file."""
    if isinstance(value, dict):
        return Located({key: _located(one, place) for key, one in value.items()}, place, place)
    if isinstance(value, list):
        return Located([_located(one, place) for one in value], place, place)
    return Located(value, place, place, "" if value is None else str(value))
