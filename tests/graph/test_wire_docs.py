"""docs/wire-protocol.md names every field that travels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graph import control, node_file
from graph.links import queue, stream
from graph.links.counts import EdgeStatistics
from graph.message import PROTOCOL, Header

PAGE = (Path(__file__).parents[2] / "docs/wire-protocol.md").read_text()
STRUCTS: list[type[msgspec.Struct]] = [
    Header,
    EdgeStatistics,
    *(control.Hello, control.Status, control.Warned, control.Loaded, control.Ready, control.Beat, control.Drained),
    *(control.Failed, control.Heard, control.Start, control.Drain, control.Stop, control.Gone, control.TurnMark),
    *(stream.Welcome, stream.End, queue.Greeting, queue.QueueEnd, queue.Hello, queue.Ack),
    *(node_file.NodeFile, node_file.InputLink, node_file.OutputPort, node_file.QueueLink, node_file.Peer),
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: f"{struct.__module__}.{struct.__name__}")
def test_every_field_is_named(struct: type[Any]) -> None:
    named = set(re.findall(r'[`"]([a-z_]+)["`]', PAGE))
    tag = struct.__struct_config__.tag
    wanted = {*struct.__struct_encode_fields__, *([tag] if tag else [])}
    assert wanted <= named


def test_the_version_is_the_one_that_is_spoken() -> None:
    assert f"\nVersion {PROTOCOL}. " in PAGE
