"""What a user gets wrong is told in one clear line, with the right exit code, and never as a traceback.

Errors within the file have their exact texts in tests/graph; here each kind is seen once through the whole command.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from .graphs import ROOT, GraphRun, graph_run


def told(run: GraphRun) -> list[str]:
    """The error lines; the graph's own progress lines left out."""
    assert "Traceback" not in run.stderr
    return [line for line in run.stderr.splitlines() if line.startswith("error: ")]


def capture(path: Path) -> str:
    return f'name: bad\nnodes:\n  capture: {{use: capture.file, with: {{path: "{path}", pace: fast}}}}\n'


def test_every_error_of_a_file_is_told_in_one_go(tmp_path: Path) -> None:
    text = (
        'nodes:\n  a: {use: capture.fil, with: {path: "x.wav"}}\n  b: {use: capture.file, with: {path: "x.wav", pase: fast}}\n'
    )
    with graph_run(tmp_path, text) as run:
        assert run.wait() == 2
        assert run.stderr.splitlines() == [
            f"{tmp_path}/graph.yaml:2:12: a: unknown node 'capture.fil' (did you mean 'capture.file'?)",
            f"{tmp_path}/graph.yaml:3:48: b: unknown parameter 'pase' (did you mean 'pace'?)",
        ]


def test_a_missing_audio_file(tmp_path: Path) -> None:
    with graph_run(tmp_path, capture(tmp_path / "none.wav")) as run:
        assert run.wait() == 1
        assert told(run) == [f"error: capture: cannot read audio file '{tmp_path}/none.wav': no such file"]
        run.all_gone()


def test_an_unreadable_audio_file(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no sound")
    with graph_run(tmp_path, capture(tmp_path / "text.wav")) as run:
        assert run.wait() == 1
        [line] = told(run)
        assert line.startswith(f"error: capture: cannot read audio file '{tmp_path}/text.wav': ")
        run.all_gone()


@pytest.mark.models
def test_a_file_with_no_speech_ends_well_and_says_so(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(32_000), 16_000)
    overlay = ("-o", f"nodes.capture.with.path={tmp_path / 'silence.wav'}")
    with graph_run(tmp_path, ROOT / "examples/transcribe.yaml", *overlay) as run:
        assert run.wait() == 0, run.stderr
        assert "warning: vad: no speech was heard in" in run.stderr
        assert "no speech was heard" in run.stdout
        assert run.report["turns"] == []


@pytest.mark.models
def test_a_missing_extra(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "xllamacpp.py").write_text("raise ModuleNotFoundError(\"No module named 'xllamacpp'\", name='xllamacpp')")
    with graph_run(tmp_path, ROOT / "pipelines.yaml", PYTHONPATH=str(hidden)) as run:
        assert run.wait() == 1
        line = "LlamaCpp needs xllamacpp, which is not installed: pip install 'voicegraph[llm]'"
        assert told(run) == [f"error: llm: {line}"]
        run.all_gone()


def test_an_unknown_model(tmp_path: Path) -> None:
    overlay = ("-o", "nodes.vad.with.model=silero-vat")
    with graph_run(tmp_path, ROOT / "examples/transcribe.yaml", *overlay) as run:
        assert run.wait() == 2
        assert run.stderr == (
            "model 'silero-vat' is neither a file, nor in the catalogue, nor a hub id: did you mean 'silero-vad'? "
            "`graph models list` shows all\n"
        )


def test_a_read_only_output_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    overlay = ("-o", f"nodes.sink.with.folder={tmp_path / 'out'}")
    with graph_run(tmp_path, ROOT / "pipelines.yaml", *overlay) as run:
        assert run.wait() == 1
        assert told(run) == [f"error: sink: cannot write '{tmp_path}/out': file exists"]
        run.all_gone()


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    with graph_run(tmp_path, capture(tmp_path / "x.wav"), "--report", "/proc/report.json") as run:
        assert run.wait() == 1
        assert run.stderr.startswith("cannot write the report to /proc/report.json: ")


def test_a_report_that_is_a_folder(tmp_path: Path) -> None:
    with graph_run(tmp_path, capture(tmp_path / "x.wav"), "--report", str(tmp_path)) as run:
        assert run.wait() == 1
        assert run.stderr == f"cannot write the report to {tmp_path}: Is a directory\n"


def test_logs_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    with graph_run(tmp_path, capture(tmp_path / "x.wav"), XDG_STATE_HOME=str(tmp_path / "afile")) as run:
        assert run.wait() == 1
        assert run.stderr.startswith(f"cannot write logs to {tmp_path}/afile/voicegraph/logs/")
        assert run.stderr.endswith(": Not a directory; set XDG_STATE_HOME to a folder of yours\n")
        run.all_gone()


def test_no_such_graph_file(tmp_path: Path) -> None:
    with graph_run(tmp_path, tmp_path / "none.yaml") as run:
        assert run.wait() == 2
        assert run.stderr == f"{tmp_path}/none.yaml: no such file\n"


def test_no_place_for_the_logs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with graph_run(tmp_path, capture(ROOT / "examples/audio/questions.wav"), XDG_STATE_HOME=str(tmp_path / "file")) as run:
        assert run.wait() == 1
        logs = next(line for line in run.stderr.splitlines() if line.startswith("cannot write logs to "))
        assert logs.endswith(": Not a directory; set XDG_STATE_HOME to a folder of yours")
        assert "Traceback" not in run.stderr
        run.all_gone()
