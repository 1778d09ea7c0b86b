"""Sound devices: PortAudio is asked in a process of its own, for a broken driver takes its process down or never answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from graph.doctor.finding import Finding, ok, problem, warning
from graph.plan import PlannedNode

EXTRA = "microphone"
ANSWER_WITHIN_S = 15.0
_ASK = """\
import json
try:
    import sounddevice
except ImportError as error:
    print(json.dumps({"missing": "module"}))
except OSError as error:
    print(json.dumps({"missing": "portaudio"}))
else:
    default = sounddevice.default.device
    devices = [
        {"index": d["index"], "name": d["name"], "input": d["max_input_channels"], "output": d["max_output_channels"]}
        for d in sounddevice.query_devices()
    ]
    print(json.dumps({"input": default["input"], "output": default["output"], "devices": devices}))
"""


def ask(command: Sequence[str] = (sys.executable, "-c", _ASK), within_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
    """What PortAudio knows of this machine; `broken` says why it did not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False, stdin=subprocess.DEVNULL)
        answer = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except subprocess.TimeoutExpired:
        return {"broken": f"PortAudio did not answer within {within_s:g} s"}
    except (OSError, ValueError, IndexError) as error:
        return {"broken": f"PortAudio could not be asked: {error}"}
    if isinstance(answer, dict):
        return answer
    last = (done.stderr.strip().splitlines() or [""])[-1]
    how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"failed: {last}"
    return {"broken": f"asking PortAudio {how}"}


def check_sound(answer: dict[str, Any], wanted: Sequence[PlannedNode], every: bool = False) -> list[Finding]:
    """The devices that nodes want.

    :param wanted: the nodes that work with a sound card: sources listen, others speak.
    :param every: no graph is meant; both directions are looked at, and lacking one is no problem.
    """
    tell = warning if every else problem
    if answer.get("missing") == "module":
        return [tell("sound", "sounddevice is not installed", f"pip install 'voicegraph[{EXTRA}]'")]
    if answer.get("missing") == "portaudio":
        return [tell("sound", "the PortAudio library is not installed", "sudo apt-get install libportaudio2")]
    if "broken" in answer:
        return [tell("sound", str(answer["broken"]), "python -m sounddevice")]
    asked = [("input", None), ("output", None)] if every else [_of(node) for node in wanted]
    return [_device(answer, direction, device, tell is warning) for direction, device in dict.fromkeys(asked)]


def _of(node: PlannedNode) -> tuple[str, Any]:
    return "input" if node.source else "output", node.config.get("device")


def _device(answer: dict[str, Any], direction: str, device: int | str | None, mild: bool) -> Finding:
    tell = warning if mild else problem
    check = f"sound {direction}"
    there = [one for one in answer["devices"] if one[direction]]
    index = answer[direction] if device is None and answer[direction] >= 0 else device
    if isinstance(index, int):
        found = [one for one in there if one["index"] == index]
    else:
        name = (index or "").casefold()
        found = [one for one in there if index and one["name"].casefold() == name]
        found = found or [one for one in there if index and name in one["name"].casefold()]
    if len(found) == 1:
        return ok(check, f"{found[0]['index']} '{found[0]['name']}'")
    known = ", ".join(f"{one['index']} '{one['name']}'" for one in there)
    if not there:
        what = "a microphone" if direction == "input" else "a loudspeaker"
        return tell(check, f"this machine has no {direction} device", f"plug in {what}, then: python -m sounddevice")
    which = "there is no default" if device is None else f"{'more than one is' if found else 'there is no'} '{device}'"
    return tell(check, f"{which}; there are {known}", "set the node's parameter `device`")
