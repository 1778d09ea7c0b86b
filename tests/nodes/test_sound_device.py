"""Finding the sound device that the user means."""

from __future__ import annotations

import ctypes.util
import sys
from importlib.util import find_spec

import pytest

from graph.errors import NodeError
from graph.testing import Harness
from nodes.capture.microphone import MicrophoneCapture
from nodes.sound_device import Device, choose

BUILT_IN = Device(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)", 48_000)
HEADSET = Device(3, "USB Headset: Audio (hw:1,0)", 44_100)
CAMERA = Device(4, "USB Camera: Audio (hw:2,0)", 16_000)
ALL = [BUILT_IN, HEADSET, CAMERA]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(0, BUILT_IN), (4, CAMERA), ("headset", HEADSET), ("USB Camera: Audio (hw:2,0)", CAMERA)],
)
def test_a_device_is_known_by_index_or_name_or_part_of_the_name(wanted: str | int, found: Device) -> None:
    assert choose(ALL, "input", wanted) == found


def test_an_exact_name_wins_over_longer_ones() -> None:
    short = Device(7, "usb", 8_000)
    assert choose([*ALL, short], "output", "USB") == short


LISTED = "0 'HDA Intel PCH: ALC257 Analog (hw:0,0)', 3 'USB Headset: Audio (hw:1,0)', 4 'USB Camera: Audio (hw:2,0)'"


@pytest.mark.parametrize(
    ("devices", "wanted", "message"),
    [
        (ALL, "Bluetooth", f"no input device 'Bluetooth'; there are: {LISTED}"),
        (ALL, 1, f"no input device 1; there are: {LISTED}"),
        (ALL, None, f"no default input device; there are: {LISTED}"),
        (ALL, "usb", f"more than one input device 'usb'; there are: {LISTED[LISTED.index('3') :]}"),
        ([], None, "no default input device; this machine has none"),
        ([], "USB", "no input device 'USB'; this machine has none"),
    ],
)
def test_the_error_names_the_devices_there_are(devices: list[Device], wanted: str | int | None, message: str) -> None:
    with pytest.raises(NodeError) as caught:
        choose(devices, "input", wanted)
    assert str(caught.value) == message


@pytest.mark.skipif(find_spec("sounddevice") is None, reason="needs sounddevice")
def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(NodeError) as caught:
        Harness(MicrophoneCapture)
    assert str(caught.value) == "sounddevice needs the PortAudio library, which is not installed: apt install libportaudio2"
