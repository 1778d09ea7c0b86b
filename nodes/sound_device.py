"""Sound cards through PortAudio: loading the library, and finding the device that the user means."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from graph.errors import NodeError
from graph.message import now_ns
from graph.node import Node

Direction = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device that can do what it is wanted for."""

    index: int
    name: str
    sample_rate: int  # Hz, its own


def load_sounddevice(node: Node) -> ModuleType:
    """The sounddevice module.

    :raises MissingExtra: it is not installed.
    :raises NodeError: PortAudio, the library below it, is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise node.missing("sounddevice") from error
    except OSError as error:
        raise NodeError("sounddevice needs the PortAudio library, which is not installed: apt install libportaudio2") from error
    module: ModuleType = sounddevice
    return module


def find_device(sounddevice: ModuleType, direction: Direction, wanted: str | int | None) -> Device:
    """The device with this index, this name or a name with this in it; None: the system's default.

    :raises NodeError: there is none, or more than one; the text names those there are.
    """
    devices = [
        Device(info["index"], info["name"], round(info["default_samplerate"]))
        for info in sounddevice.query_devices()
        if info[f"max_{direction}_channels"]
    ]
    default: int = sounddevice.default.device[direction]
    return choose(devices, direction, default if wanted is None and default >= 0 else wanted)


def choose(devices: list[Device], direction: Direction, wanted: str | int | None) -> Device:
    """Pick from the devices of a direction; see `find_device`."""
    if isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
    else:
        name = (wanted or "").casefold()
        found = [device for device in devices if wanted and device.name.casefold() == name]
        found = found or [device for device in devices if wanted and name in device.name.casefold()]
    if len(found) == 1:
        return found[0]
    which = "no default" if wanted is None else f"{'more than one' if found else 'no'}"
    named = "" if wanted is None else f" {wanted}" if isinstance(wanted, int) else f" '{wanted}'"
    there = ", ".join(f"{device.index} '{device.name}'" for device in found or devices)
    raise NodeError(f"{which} {direction} device{named}; " + (f"there are: {there}" if there else "this machine has none"))


def sound_ns(current_s: float, block_s: float, offset_s: float = 0.0) -> int:
    """When a sample passes the converter (monotonic), `offset_s` after the first of its block.

    `current_s` and `block_s` are PortAudio's times of now and of the block. Drivers that know no better say 0: then the
    block passes now, an input block with its last sample.
    """
    if current_s <= 0 or block_s <= 0:
        return now_ns()
    return now_ns() + round((block_s + offset_s - current_s) * 1e9)
