"""What the doctor makes of machines that lack something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.requirements import Requirement

from graph.doctor import libraries, memory, models
from graph.doctor.finding import ok, problem, size, warning, worst
from graph.plan import Edge, Instance, Plan, PlannedNode, Resources
from tests.graph.cli.conftest import SAMPLES

MB = 2**20
ASKED = [
    Requirement(text)
    for text in (
        "base>=1",
        'ears>=2; extra == "hear"',
        'voicegraph[hear]; extra == "talk"',
        'mouth; extra == "talk"',
        'old; python_version < "3" and extra == "talk"',
        'pytest; extra == "dev"',
    )
]


def node(name: str, **changes: Any) -> PlannedNode:
    return msgspec.structs.replace(PlannedNode(name, "x", f"{SAMPLES}:Source", {"path": "x"}, (name,)), **changes)


def plan(*nodes: PlannedNode, edges: tuple[Edge, ...] = (), endpoint: str = "ipc://{run}/a.out", **changes: Any) -> Plan:
    instances = tuple(Instance(i, n.name, out=endpoint) for n in nodes for i in n.instances)
    return Plan("one", "one.yaml", nodes, instances, edges, **changes)


class TestFindings:
    def test_the_worst_decides(self) -> None:
        assert worst([]) == worst([ok("a", "")]) == "ok"
        assert worst([ok("a", ""), warning("b", ""), ok("c", "")]) == "warning"
        assert worst([problem("a", ""), warning("b", "")]) == "problem"

    @pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (2048, "2 KB"), (8 * MB, "8 MB"), (3 * 2**30, "3.0 GB")])
    def test_sizes(self, count: int, shown: str) -> None:
        assert size(count) == shown


class TestLibraries:
    def test_python(self) -> None:
        assert libraries.python((3, 11, 0)) == ok("python", "Python 3.11.0")
        assert libraries.python((3, 10, 9)).verdict == "problem"

    @pytest.mark.parametrize(
        ("installed", "text"),
        [
            ({"ears": "2.1", "mouth": "1"}, "installed (stt)"),
            ({"mouth": "1"}, "ears is not installed (stt)"),
            ({"ears": "1.9", "mouth": "1"}, "ears 1.9 is installed, >=2 is needed (stt)"),
            ({}, "ears is not installed; mouth is not installed (stt)"),
        ],
    )
    def test_an_extra_asks_for_what_its_extras_ask_for(self, installed: dict[str, str], text: str) -> None:
        [found] = libraries.check_extras({"talk": ["stt"]}, ASKED, installed.get)
        assert found.text == text
        assert (found.verdict, found.do) == (
            ("ok", "") if text.startswith("installed") else ("problem", "pip install 'voicegraph[talk]'")
        )

    def test_without_a_node_it_is_a_warning(self) -> None:
        assert libraries.all_extras(ASKED) == {"hear": [], "talk": []}
        [found] = libraries.check_extras({"hear": []}, ASKED, {}.get)
        assert found == warning("extra hear", "ears is not installed", "pip install 'voicegraph[hear]'")

    def test_an_extra_of_somebody_elses_package_is_passed_over(self) -> None:
        assert list(libraries.check_extras({"theirs": ["a"]}, ASKED, {}.get)) == []

    def test_what_every_graph_needs(self) -> None:
        assert libraries.check_own(ASKED, {"base": "1.2"}.get).verdict == "ok"
        assert libraries.check_own(ASKED, {}.get).text == "base is not installed"

    def test_the_extras_of_nodes_depend_on_their_parameters(self) -> None:
        silero = node("vad", target="nodes.vad.silero:SileroVad", config={})
        torch = node("ear", target="nodes.vad.silero:SileroVad", config={"runtime": "torch"})
        program = node("js", target="", command=("node", "x.mjs"))
        assert libraries.extras_of([silero, torch, program]) == {"vad": ["vad", "ear"], "torch": ["ear"]}

    def test_every_extra_that_a_node_names_is_one(self) -> None:
        from graph.registry import Registry

        registry = Registry.installed()
        extras = {registry.load(name).extra for name in registry.targets}
        asked = libraries.all_extras(libraries.own_requirements())
        assert extras - {"", "metrics"} <= asked.keys()  # metrics brings nothing of its own


class TestModels:
    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("VOICEGRAPH_MODELS", str(tmp_path))
        return tmp_path

    def test_not_here(self) -> None:
        found = models.check_model("silero-vad")
        assert (found.verdict, found.do) == ("problem", "graph models pull silero-vad")
        assert found.text.startswith("is not here (")

    def test_of_the_wrong_size(self, store: Path) -> None:
        (store / "silero-vad").mkdir()
        found = models.check_model("silero-vad")
        assert "files are missing or have the wrong size" in found.text
        assert found.do == "graph models pull --force silero-vad"

    def test_a_file_of_the_users(self, store: Path) -> None:
        (store / "my.gguf").write_bytes(b"12345")
        assert models.check_model(str(store / "my.gguf")).verdict == "ok"
        assert models.bytes_of([str(store / "my.gguf"), "silero-vad"]) == 5

    def test_unknown(self) -> None:
        found = models.check_model("silero-vat")
        assert (found.verdict, found.do) == ("problem", "graph models list")
        assert "did you mean 'silero-vad'?" in found.text

    def test_no_room_for_those_that_are_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(models.shutil, "disk_usage", lambda _: Disk(10, 9, 1))
        found = list(models.check_models(["silero-vad"]))
        assert [f.check for f in found] == ["model silero-vad", "models"]
        assert "has 1 B free" in found[-1].text


class Disk(tuple):  # type: ignore[type-arg]
    def __new__(cls, total: int, used: int, free: int) -> Disk:
        made = super().__new__(cls, (total, used, free))
        made.free = free  # type: ignore[attr-defined]
        return made


class TestMemory:
    def test_models_are_counted_once_a_process(self) -> None:
        two = plan(node("a", instances=("a.0", "a.1")))
        assert memory.check_memory(two, {"a": 100 * MB}, 300 * MB).verdict == "ok"
        found = memory.check_memory(two, {"a": 100 * MB}, 279 * MB)
        assert found.verdict == "warning"
        assert found.text == "about 280 MB for 2 processes and their models, 279 MB free"

    def test_threads(self) -> None:
        nodes = [node("a", instances=("a.0", "a.1"), resources=Resources(threads=2)), node("b")]
        assert memory.check_threads(nodes, 4) == ok("threads", "4 processors, 4 threads asked for")
        found = memory.check_threads(nodes, 3)
        assert found.verdict == "warning"
        assert "4 threads are asked for (a 4), there are 3 processors" in found.text
        assert memory.check_threads([node("b")], 1) == ok("threads", "1 processors")

    def test_shared_memory(self) -> None:
        of = plan(node("a", instances=("a.0", "a.1")), node("b"), edges=(Edge("a", "out", "b", "x"),), shared_memory=64 * MB)
        assert memory.check_shared_memory(of, 900 * MB, 800 * MB).verdict == "ok"
        full = memory.check_shared_memory(of, 64 * MB, 60 * MB)
        assert full.verdict == "warning"
        assert full.text == "/dev/shm has 60 MB of 64 MB free, the graph may take up to 128 MB"
        assert "--shm-size=128m" in full.do
        assert memory.check_shared_memory(of, None, None).verdict == "warning"
        assert memory.check_shared_memory(msgspec.structs.replace(of, shared_memory=0), None, None).verdict == "ok"
