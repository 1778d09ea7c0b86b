"""sink.speaker and capture.microphone through the real PortAudio, on a sound card that ALSA makes up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    find_spec("sounddevice") is None or find_library("portaudio") is None, reason="needs sounddevice and the PortAudio library"
)

NO_CARD = "pcm.!default { type hw card 99 }"  # PortAudio aborts where ALSA knows no default at all
CARD = """
pcm.nothing { type null hint { show on description "takes and gives silence" } }
pcm.to_file { type file slave.pcm nothing file "HEARD" format raw hint { show on description "writes a file" } }
pcm.!default { type plug slave.pcm nothing }
"""


def run(tmp_path: Path, what: str, card: str = CARD) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "asound.conf"
    config.write_text(card.replace("HEARD", str(tmp_path / "heard.raw")))
    command = [sys.executable, "-m", "tests.nodes.virtual_sound_card", what]
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(config)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])


def result(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_reply_is_heard_whole_and_told(tmp_path: Path) -> None:
    assert result(run(tmp_path, "play")) == {"played": [True], "marks": ["first_audio", "played"]}
    heard = np.fromfile(tmp_path / "heard.raw", "<i2")
    assert (np.count_nonzero(heard == 5000), np.count_nonzero(heard == 100)) == (24_000, 2_400)
    loud = np.flatnonzero(heard == 5000)
    assert loud[-1] - loud[0] == 23_999  # without a gap


def test_the_microphone_gives_frames_of_16_khz(tmp_path: Path) -> None:
    assert result(run(tmp_path, "record")) == {"starts": [320 * n for n in range(10)], "bytes": [640] * 10}


@pytest.mark.parametrize(("what", "direction", "wanted"), [("play", "output", "to_file"), ("record", "input", "nothing")])
def test_without_a_sound_card_the_error_says_so(tmp_path: Path, what: str, direction: str, wanted: str) -> None:
    done = run(tmp_path, what, card=NO_CARD)
    assert done.stderr.splitlines()[-1] == f"graph.errors.NodeError: no {direction} device '{wanted}'; this machine has none"
