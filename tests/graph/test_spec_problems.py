"""Every way a graph file can be wrong, and the exact lines that are told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import SpecError
from graph.load import load_spec
from graph.planning import build
from graph.registry import Registry
from graph.spec import read_spec
from graph.yaml_text import parse, substitute

REGISTRY = Registry(
    {
        name: f"tests.graph.sample_nodes:{cls}"
        for name, cls in {
            "sample.source": "Source",
            "sample.double": "Double",
            "sample.print": "Print",
            "sample.watch": "Watch",
            "sample.imposter": "NotANode",
        }.items()
    }
)
SOURCE = "  src: {use: sample.source, with: {path: x}}\n"


def told(folder: Path, text: str, *overlays: str, **environment: str) -> list[str]:
    """What is wrong with a file, its folder left out."""
    file = folder / "g.yaml"
    file.write_text(text)
    try:
        build(load_spec(file, overlays, environment), REGISTRY)
    except SpecError as error:
        return str(error).replace(f"{folder}/", "").splitlines()
    return []


CASES = {
    # the text itself
    "not yaml": (
        "nodes:\n  a: {use: x\n  b: {use: y}\n",
        "g.yaml:3:4: not valid YAML: expected ',' or '}', but got ':' while parsing a flow mapping that begins in line 2",
    ),
    "a tab": (
        "nodes:\n\ta: {use: x}\n",
        "g.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token (indent with spaces, not with tabs)",
    ),
    "an unquoted variable in braces": (
        "nodes: {a: {use: ${USE}}}\n",
        "g.yaml:1:19: not valid YAML: expected ',' or '}', but got '{' while parsing a flow mapping that begins in line 1"
        ' (put quotes around it: "${…}")',
    ),
    "a character that YAML forbids": (
        "nodes: \x07\n",
        "g.yaml: not valid YAML: unacceptable character #x0007: special characters are not allowed",
    ),
    "two documents": (
        "nodes: {}\n---\nnodes: {}\n",
        "g.yaml:2:1: not valid YAML: but found another document expected a single document in the stream that begins in line 1",
    ),
    "a tag": ("name: !secret x\nnodes:\n" + SOURCE, "g.yaml:1:7: tag '!secret' means nothing here"),
    "a key that is no text": ("nodes:\n" + SOURCE + "? [1]\n: 2\n", "g.yaml:3:3: a key must be a text"),
    "a duplicate key": (
        "nodes:\n" + SOURCE + "  src: {use: sample.source, with: {path: y}}\n",
        "g.yaml:3:3: duplicate key 'src', first in line 2",
    ),
    "an anchor within itself": (
        "nodes:\n" + SOURCE + "name: &a [*a]\n",
        "g.yaml:3:7: an anchor must not stand for what contains it",
        "g.yaml:3:7: 'name' must be a text, not a list",
    ),
    "a merge with what is no mapping": ("nodes:\n" + SOURCE + "<<: 3\n", "g.yaml:3:5: '<<' takes a mapping, or a list of them"),
    "nested too deeply": ("nodes: " + "[" * 1000, "g.yaml: not valid YAML: nested too deeply"),
    "empty": ("# nothing yet\n", "g.yaml:1:1: the graph has no nodes"),
    "no nodes": ("name: t\nnodes: {}\n", "g.yaml:2:1: the graph has no nodes"),
    "nodes of a wrong type": ("nodes: [a]\n", "g.yaml:1:8: 'nodes' must be a mapping, not a list"),
    "not a mapping": ("- nodes\n", "g.yaml:1:1: must be a mapping, not a list"),
    # keys and their values
    "an unknown key": ("nodes:\n" + SOURCE + "nodess: 1\n", "g.yaml:3:1: unknown key 'nodess' (did you mean 'nodes'?)"),
    "an unknown key of a node": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, replica: 2}\n",
        "g.yaml:2:46: src: unknown key 'replica' (did you mean 'replicas'?)",
    ),
    "an unknown key with nothing like it": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, zzz: 2}\n",
        "g.yaml:2:46: src: unknown key 'zzz' (known: use, exec, with, in, out, replicas, resources, restart, critical,"
        " fallback, after, start_within, hang_after, dead_after, swap, probation)",
    ),
    "an unknown key of resources": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, resources: {thread: 1}}\n",
        "g.yaml:2:58: src: unknown key 'thread' (did you mean 'threads'?)",
    ),
    "no use": (
        "nodes:\n" + SOURCE + "  scr: {replicas: 1}\n",
        "g.yaml:3:3: scr: key 'use' is missing, or 'exec' (did you mean 'src'?)",
    ),
    "an empty node": ("nodes:\n" + SOURCE + "  b:\n", "g.yaml:3:3: b: 'b' must be a mapping, not empty"),
    "replicas below one": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, replicas: 0}\n",
        "g.yaml:2:56: src: 'replicas' must be at least 1, not 0",
    ),
    "a name that is none": (
        "nodes:\n  Src: {use: sample.source, with: {path: x}}\n",
        "g.yaml:2:3: 'Src' is not a name for a node (a letter a-z, then up to 31 of a-z, 0-9, _ and -)",
    ),
    "a duration without a unit": (
        "nodes:\n" + SOURCE + "orphan_after: 5\n",
        "g.yaml:3:15: 'orphan_after' must be a duration like 500ms, 2s or 1m, not 5",
    ),
    "an unknown transport": (
        "nodes:\n" + SOURCE + "transport: ipx\n",
        "g.yaml:3:12: 'transport' must be 'ipc' or 'tcp', not 'ipx' (did you mean 'ipc'?)",
    ),
    "a host that is another": (
        "nodes:\n" + SOURCE + "transport: {kind: tcp, host: 0.0.0.0}\n",
        "g.yaml:3:30: 'host' must be an address of this machine (links to others need keys, which come later), not '0.0.0.0'",
    ),
    "a transport without a kind": ("nodes:\n" + SOURCE + "transport: {host: a}\n", "g.yaml:3:1: key 'kind' is missing"),
    "ports beyond the last": (
        "nodes:\n"
        + SOURCE
        + "  dbl: {use: sample.double, in: {numbers: src.numbers}}\ntransport: {kind: tcp, first_port: 65535}\n",
        "g.yaml:4:36: 'first_port' must be at most 65534: this graph needs 2 ports",
    ),
    # classes and parameters
    "an unknown node type": (
        "nodes:\n  src: {use: sample.sauce, with: {path: x}}\n",
        "g.yaml:2:14: src: unknown node 'sample.sauce' (did you mean 'sample.source'?)",
    ),
    "a class and a program": (
        "nodes:\n" + SOURCE + "  x: {use: sample.print, exec: sh, in: {numbers: src.numbers}}\n",
        "g.yaml:3:26: x: 'use' and 'exec' exclude each other: a node is a class, or a program",
    ),
    "outputs of a class": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, out: {numbers: sample.number}}\n",
        "g.yaml:2:46: src: 'out' is for programs (exec): the outputs of a class are known",
    ),
    "a program that is not there": (
        "nodes:\n" + SOURCE + "  x: {exec: ./pyproject.tom, in: {numbers: src.numbers}}\n",
        "g.yaml:3:13: x: no such program: './pyproject.tom' (did you mean './pyproject.toml'?)",
    ),
    "a program that is not executable": (
        "nodes:\n" + SOURCE + "  x: {exec: ./README.md --fast, in: {numbers: src.numbers}}\n",
        "g.yaml:3:13: x: './README.md' is not executable (chmod +x ./README.md, or name its interpreter before it)",
    ),
    "a program that is a folder": (
        "nodes:\n" + SOURCE + "  x: {exec: [tests/], in: {numbers: src.numbers}}\n",
        "g.yaml:3:13: x: 'tests/' is a folder, not a program",
    ),
    "a program that is not on the path": (
        "nodes:\n" + SOURCE + "  x: {exec: no-such-program, in: {numbers: src.numbers}}\n",
        "g.yaml:3:13: x: there is no program 'no-such-program' on the PATH",
    ),
    "a program beside, without its folder": (
        "nodes:\n" + SOURCE + "  x: {exec: README.md, in: {numbers: src.numbers}}\n",
        "g.yaml:3:13: x: there is no program 'README.md' on the PATH (did you mean './README.md'?)",
    ),
    "a command with an open quote": (
        "nodes:\n" + SOURCE + '  x: {exec: "sh \'a", in: {numbers: src.numbers}}\n',
        "g.yaml:3:13: x: 'exec' must be a command that a shell could read (No closing quotation), not 'sh 'a'",
    ),
    "an empty command": (
        "nodes:\n" + SOURCE + "  x: {exec: [], in: {numbers: src.numbers}}\n",
        "g.yaml:3:13: x: 'exec' must be a program with its arguments, like ./my_node or [node, my_node.mjs], not a list",
    ),
    "a command with a number in it": (
        "nodes:\n" + SOURCE + "  x: {exec: [sh, 3], in: {numbers: src.numbers}}\n",
        "g.yaml:3:18: x: item 2 of 'exec' must be a text, not 3",
    ),
    "ports with impossible names": (
        "nodes:\n" + SOURCE + "  x: {exec: sh, in: {My-In: src.numbers}, out: {telemetry: k, a/b: k}}\n",
        "g.yaml:3:22: x: 'My-In' is not a name for a port (a letter a-z, then up to 31 of a-z, 0-9 and _)",
        "g.yaml:3:49: x: 'telemetry' is not a name for a port (every node has telemetry)",
        "g.yaml:3:63: x: 'a/b' is not a name for a port (a letter a-z, then up to 31 of a-z, 0-9 and _)",
    ),
    "an output of no kind": (
        "nodes:\n" + SOURCE + "  x: {exec: sh, in: {numbers: src.numbers}, out: {y: []}}\n",
        "g.yaml:3:54: x: 'y' must be 1 or more items long, not a list",
    ),
    "a kind that is no name": (
        "nodes:\n" + SOURCE + "  x: {exec: sh, in: {numbers: src.numbers}, out: {y: [a.b, A]}}\n",
        "g.yaml:3:60: x: item 2 of 'y' must be like ^[a-z][a-z0-9_.-]*$, not 'A'",
    ),
    "an output that a program does not have": (
        "nodes:\n" + SOURCE + "  x: {exec: sh, in: {a: src.numbers}, out: {numbers: sample.number}}\n"
        "  y: {use: sample.print, in: {numbers: x.numbrs}}\n",
        "g.yaml:4:40: y: 'x' has no output 'numbrs' (did you mean 'x.numbers'?)",
    ),
    "a program's output that does not fit": (
        "nodes:\n" + SOURCE + "  x: {exec: sh, in: {a: src.mixed}, out: {loud: [audio.level, sample.number]}}\n"
        "  y: {use: sample.print, in: {numbers: x.loud}}\n",
        "g.yaml:4:40: y: input 'numbers' takes sample.number, sample.word, but 'x.loud' carries audio.level, sample.number"
        " (fits: src.numbers, src.mixed)",
    ),
    "a node type with nothing like it": (
        "nodes:\n  src: {use: zzz}\n",
        "g.yaml:2:14: src: unknown node 'zzz' (`graph nodes` lists what there is)",
    ),
    "a module that is not there": (
        "nodes:\n  src: {use: 'nowhere.at_all:Node'}\n",
        "g.yaml:2:14: src: cannot import node 'nowhere.at_all:Node': No module named 'nowhere'",
    ),
    "a class that is not there": (
        "nodes:\n  src: {use: 'tests.graph.sample_nodes:Sauce'}\n",
        "g.yaml:2:14: src: cannot import node 'tests.graph.sample_nodes:Sauce': "
        "module 'tests.graph.sample_nodes' has no attribute 'Sauce'",
    ),
    "a class that is no node": (
        "nodes:\n  src: {use: sample.imposter}\n",
        "g.yaml:2:14: src: 'tests.graph.sample_nodes:NotANode' is not a node: it must be a subclass of graph.node.Node",
    ),
    "a class that forgot a handler": (
        "nodes:\n  src: {use: 'tests.graph.sample_nodes:Deaf'}\n",
        "g.yaml:2:14: src: node 'tests.graph.sample_nodes:Deaf' has an input 'numbers' and no handler for it: "
        "define on_numbers",
    ),
    "an unknown parameter": (
        "nodes:\n  src: {use: sample.source, with: {path: x, pase: fast}}\n",
        "g.yaml:2:45: src: unknown parameter 'pase' (did you mean 'pace'?)",
    ),
    "a missing parameter": ("nodes:\n  src: {use: sample.source}\n", "g.yaml:2:3: src: parameter 'path' is missing"),
    "a missing parameter beside others": (
        "nodes:\n  src: {use: sample.source, with: {pace: fast}}\n",
        "g.yaml:2:29: src: parameter 'path' is missing",
    ),
    "a parameter that is none of the choices": (
        "nodes:\n  src: {use: sample.source, with: {path: x, pace: fst}}\n",
        "g.yaml:2:51: src: 'pace' must be 'realtime' or 'fast', not 'fst' (did you mean 'fast'?)",
    ),
    "parameters of wrong types": (
        "nodes:\n" + SOURCE + "  dbl:\n    use: sample.double\n    in: {numbers: src.numbers}\n"
        "    with:\n      factor: many\n      window: -1\n      label: 3\n      steps: [1, x]\n",
        "g.yaml:7:15: dbl: 'factor' must be a whole number, not 'many'",
        "g.yaml:8:15: dbl: 'window' must be 'fit' or more than 0, not -1",
        "g.yaml:9:14: dbl: 'label' must be a text, not 3",
        "g.yaml:10:18: dbl: item 2 of 'steps' must be a whole number, not 'x'",
    ),
    "a parameter out of its limits": (
        "nodes:\n"
        + SOURCE
        + "  dbl: {use: sample.double, in: {numbers: src.numbers}, with: {factor: 11, steps: [1, 2, 3, 4]}}\n",
        "g.yaml:3:72: dbl: 'factor' must be at most 10, not 11",
        "g.yaml:3:83: dbl: 'steps' must be at most 3 items long, not a list",
    ),
    # wiring
    "an unknown node": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: scr.numbers}}\n",
        "g.yaml:3:43: dbl: unknown node 'scr' in 'scr.numbers' (did you mean 'src.numbers'?)",
    ),
    "an unknown output": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: src.nubmers}}\n",
        "g.yaml:3:43: dbl: 'src' has no output 'nubmers' (did you mean 'src.numbers'?)",
    ),
    "an unknown output with nothing like it": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: src.z}}\n",
        "g.yaml:3:43: dbl: 'src' has no output 'z' (it has telemetry, numbers, mixed)",
    ),
    "a node without its port": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: src}}\n",
        "g.yaml:3:43: dbl: 'src' is not an output, which is written node.port (fits: src.numbers)",
    ),
    "an input that is no output": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: 7}}\n",
        "g.yaml:3:43: dbl: 'numbers' must be an output, written node.port, or a list of them, not 7",
    ),
    "an unknown input": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: src.numbers, nmbers: src.numbers}}\n",
        "g.yaml:3:56: dbl: unknown input 'nmbers' (did you mean 'numbers'?)",
    ),
    "an input of a node that has none": (
        "nodes:\n" + SOURCE + "  two: {use: sample.source, with: {path: x}, in: {a: src.numbers}}\n",
        "g.yaml:3:51: two: unknown input 'a' (it has none)",
    ),
    "a missing input": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {}}\n",
        "g.yaml:3:29: dbl: required input 'numbers' is not connected (fits: src.numbers)",
    ),
    "a missing input where nothing is connected": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double}\n",
        "g.yaml:3:3: dbl: required input 'numbers' is not connected (fits: src.numbers)",
    ),
    "kinds that do not fit": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: src.mixed}}\n",
        "g.yaml:3:43: dbl: input 'numbers' takes sample.number, but 'src.mixed' carries sample.number, sample.word "
        "(fits: src.numbers)",
    ),
    "an output listed twice": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: [src.numbers, src.numbers]}}\n",
        "g.yaml:3:57: dbl: 'src.numbers' is listed twice for input 'numbers'",
    ),
    "a queue without a producer": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: {link: queue}}}\n",
        "g.yaml:3:34: dbl: key 'from' is missing",
    ),
    "an unknown link": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: {from: src.numbers, link: que}}}\n",
        "g.yaml:3:69: dbl: 'link' must be 'stream' or 'queue', not 'que' (did you mean 'queue'?)",
    ),
    "a stream that blocks": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: {from: src.numbers, when_full: block}}}\n",
        "g.yaml:3:74: dbl: a stream never blocks its producer (drop_oldest, drop_newest, or link: queue)",
    ),
    "a delivery that there is not": (
        "nodes:\n"
        + SOURCE
        + "  dbl: {use: sample.double, in: {numbers: {from: src.numbers, link: queue, delivery: at_once}}}\n",
        "g.yaml:3:86: dbl: 'delivery' must be 'at_most_once' or 'at_least_once', not 'at_once' (did you mean 'at_most_once'?)",
    ),
    "what only queues can": (
        "nodes:\n"
        + SOURCE
        + "  dbl: {use: sample.double, in: {numbers: {from: src.numbers, delivery: at_least_once, order: session}}}\n",
        "g.yaml:3:73: dbl: 'delivery' is for queues (link: queue)",
        "g.yaml:3:95: dbl: 'order' is for queues (link: queue)",
    ),
    "a delivery that never drops, asked to": (
        "nodes:\n"
        + SOURCE
        + "  dbl:\n    use: sample.double\n    in:\n      numbers:\n"
        + "        {from: src.numbers, link: queue, delivery: at_least_once, when_full: drop_oldest}\n",
        "g.yaml:7:78: dbl: at_least_once never drops (block)",
    ),
    "a size without a unit": (
        "max_message: 10\nnodes:\n" + SOURCE,
        "g.yaml:1:14: 'max_message' must be a size like 64KB, 16MB or 1GB, not 10",
    ),
    "after: itself, and what there is not": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, after: [src, sorce]}\n",
        "g.yaml:2:54: src: it cannot wait for itself",
        "g.yaml:2:59: src: unknown node 'sorce' in 'after' (did you mean 'src'?)",
    ),
    "after: a ring": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, after: two}\n"
        "  two: {use: sample.source, with: {path: x}, after: src}\n",
        "g.yaml:2:46: nodes that wait for each other would never start: src -> two -> src",
    ),
    "a fallback that does not exist": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, fallback: scr}\n",
        "g.yaml:2:56: src: unknown node 'scr' in 'fallback' (did you mean 'src'?)",
    ),
    "a fallback with other ports, inputs and a restart of its own": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, fallback: dbl}\n"
        "  dbl: {use: sample.double, in: {numbers: src.numbers}, restart: never}\n",
        "g.yaml:2:56: src: its fallback 'dbl' does not have the same ports: output 'mixed', output 'numbers'",
        "g.yaml:3:29: dbl: as the fallback of 'src' it has no 'in' of its own (that of 'src' holds)",
        "g.yaml:3:57: dbl: as the fallback of 'src' it has no 'restart' of its own (that of 'src' holds)",
    ),
    "what speaks as another": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, fallback: two}\n  two: {use: sample.source, with: {path: x}}\n"
        "  dbl: {use: sample.double, in: {numbers: two.numbers}}\n",
        "g.yaml:4:43: dbl: 'two' is only a fallback: it speaks as 'src' (src.numbers)",
    ),
    "a backoff and a policy that are none": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, restart: {backoff: 5s..1s}, hang_after: 3}\n"
        "  two: {use: sample.source, with: {path: x}, restart: sometimes, resources: {cpus: [-1], nice: 30, max_rss: 5}}\n",
        "g.yaml:2:65: src: 'backoff' must be two durations, the shorter first, not '5s..1s'",
        "g.yaml:2:86: src: 'hang_after' must be a duration like 500ms, 2s or 1m, not 3",
        "g.yaml:3:55: two: 'restart' must be 'never', 'on_failure' or 'always', not 'sometimes'",
        "g.yaml:3:85: two: item 1 of 'cpus' must be at least 0, not -1",
        "g.yaml:3:96: two: 'nice' must be at most 19, not 30",
        "g.yaml:3:109: two: 'max_rss' must be a size like 64KB, 16MB or 1GB, not 5",
    ),
    "a restart that is none": (
        "nodes:\n  src: {use: sample.source, with: {path: x}, restart: {max: 0, within: 5}}\n",
        "g.yaml:2:61: src: 'max' must be at least 1, not 0",
        "g.yaml:2:72: src: 'within' must be a duration like 500ms, 2s or 1m, not 5",
    ),
    "a wildcard for nothing": (
        "nodes:\n" + SOURCE + "  out: {use: sample.watch, in: {marks: '*.telemetri'}}\n",
        "g.yaml:3:40: out: no other node has an output 'telemetri' (did you mean 'telemetry'?)",
    ),
    "a wildcard that does not fit": (
        "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: '*.telemetry'}}\n",
        "g.yaml:3:43: dbl: input 'numbers' takes sample.number, but 'src.telemetry' carries telemetry.mark (fits: src.numbers)",
    ),
    "no source": (
        "nodes:\n  a: {use: sample.double, in: {numbers: b.doubled}}\n  b: {use: sample.double, in: {numbers: a.doubled}}\n",
        "g.yaml:1:1: no node is a source: each waits for another (a source, like capture.file, has no `in`)",
    ),
    "a loop of blocking queues": (
        "nodes:\n" + SOURCE + "  a: {use: sample.print, in: {numbers: src.numbers}}\n"
        "  b:\n    use: sample.double\n    in: {numbers: [src.numbers, {from: c.doubled, link: queue}]}\n"
        "  c: {use: sample.double, in: {numbers: {from: b.doubled, link: queue}}}\n",
        "g.yaml:6:40: a loop of blocking queues could wait for ever: b -> c -> b "
        "(give one of them when_full: drop_oldest, or make it a stream)",
    ),
    # variables
    "a variable that is not set": (
        "nodes:\n  src: {use: sample.source, with: {path: 'a/${NOWHERE}/b'}}\n",
        "g.yaml:2:42: environment variable 'NOWHERE' is not set (set it, or write a default: ${NOWHERE:-…})",
    ),
    "a variable that is none": (
        "nodes:\n  src: {use: sample.source, with: {path: '${1x}'}}\n",
        "g.yaml:2:42: '${1x}' is not a variable (write ${NAME} or ${NAME:-default}, or $${ for a plain ${)",
    ),
}


@pytest.mark.parametrize(("text", "lines"), [(c[0], list(c[1:])) for c in CASES.values()], ids=list(CASES))
def test_what_is_told(tmp_path: Path, text: str, lines: list[str]) -> None:
    assert told(tmp_path, text) == lines


def test_everything_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
nodes:
  src: {use: sample.source, with: {pace: fst}}
  dbl: {use: sample.double, in: {numbers: src.nubmers}, replicas: none}
  out: {use: sample.prnt, in: {numbers: dbl.doubled}}
  all: {use: sample.print, in: {numbers: dbl.doubled, more: src.numbers}}
orphan_after: soon
colour: blue
"""
    lines = told(tmp_path, text)
    assert [line.split(" ")[0] for line in lines] == [
        "g.yaml:2:29:",
        "g.yaml:2:42:",
        "g.yaml:3:43:",
        "g.yaml:3:67:",
        "g.yaml:4:14:",
        "g.yaml:5:55:",
        "g.yaml:6:15:",
        "g.yaml:7:1:",
    ]


def test_a_wrong_key_hides_no_error_of_the_same_node_and_makes_none(tmp_path: Path) -> None:
    text = "nodes:\n" + SOURCE + "  dbl: {use: sample.double, in: {numbers: {from: src.numbers, link: q}}, with: {factor: 0}}\n"
    assert told(tmp_path, text) == [
        "g.yaml:3:69: dbl: 'link' must be 'stream' or 'queue', not 'q'",
        "g.yaml:3:89: dbl: 'factor' must be at least 1, not 0",
    ]


class TestOverlays:
    def test_a_wrong_value_is_told_with_the_option(self, tmp_path: Path) -> None:
        assert told(tmp_path, "nodes:\n" + SOURCE, "nodes.src.with.pace=slow") == [
            "-o nodes.src.with.pace=slow: src: 'pace' must be 'realtime' or 'fast', not 'slow'"
        ]

    def test_a_node_that_is_not_there(self, tmp_path: Path) -> None:
        assert told(tmp_path, "nodes:\n" + SOURCE, "nodes.scr.replicas=2") == [
            "-o nodes.scr.replicas=2: scr: key 'use' is missing, or 'exec' (did you mean 'src'?)"
        ]

    def test_a_value_that_is_not_yaml(self, tmp_path: Path) -> None:
        assert told(tmp_path, "nodes:\n" + SOURCE, "nodes.src.with={path") == [
            "-o nodes.src.with={path: not valid YAML: expected ',' or '}', but got '<stream end>' "
            "while parsing a flow mapping that begins in line 1"
        ]

    @pytest.mark.parametrize("text", ["nodes.src", "=3", "nodes..src=3"])
    def test_what_is_no_overlay(self, tmp_path: Path, text: str) -> None:
        assert told(tmp_path, "nodes:\n" + SOURCE, text) == [
            f"-o {text}: an overlay is written PATH=VALUE (for example nodes.stt.with.model=small)"
        ]


class TestFiles:
    def test_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "pipelines.yaml").write_text("")
        with pytest.raises(SpecError) as caught:
            load_spec(tmp_path / "pipeline.yaml", (), {})
        assert str(caught.value) == f"{tmp_path}/pipeline.yaml: no such file (did you mean 'pipelines.yaml'?)"

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError) as caught:
            load_spec(tmp_path, (), {})
        assert str(caught.value) == f"{tmp_path}: is a folder, not a graph file"

    def test_not_utf8(self, tmp_path: Path) -> None:
        (tmp_path / "g.yaml").write_bytes("name: Küche\n".encode("latin-1"))
        with pytest.raises(SpecError) as caught:
            load_spec(tmp_path / "g.yaml", (), {})
        assert str(caught.value) == f"{tmp_path}/g.yaml: is not a text in UTF-8 (byte 7)"

    def test_not_readable(self, tmp_path: Path) -> None:
        file = tmp_path / "g.yaml"
        file.symlink_to(file)  # a loop cannot be read by anybody, root included
        with pytest.raises(SpecError) as caught:
            load_spec(file, (), {})
        assert str(caught.value) == f"{file}: cannot be read: Too many levels of symbolic links"

    def test_an_include_that_is_not_there(self, tmp_path: Path) -> None:
        assert told(tmp_path, "include: base.yaml\nnodes:\n" + SOURCE) == [
            "g.yaml:1:10: cannot include 'base.yaml': no such file"
        ]

    def test_an_include_that_is_no_name(self, tmp_path: Path) -> None:
        assert told(tmp_path, "include: [3]\nnodes:\n" + SOURCE) == [
            "g.yaml:1:11: 'include' must be a file or a list of files, not 3"
        ]

    def test_files_that_include_each_other(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text("include: g.yaml\n")
        assert told(tmp_path, "include: base.yaml\nnodes:\n" + SOURCE) == [
            "base.yaml:1:10: a file must not include itself: g.yaml -> base.yaml -> g.yaml"
        ]

    def test_an_error_is_told_in_the_file_that_it_stands_in(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text("nodes:\n  src:\n    use: sample.source\n    with: {pace: slow}\n")
        lines = told(tmp_path, "include: base.yaml\nnodes:\n  src: {with: {path: x}, replica: 2}\n")
        assert lines == [
            "g.yaml:3:26: src: unknown key 'replica' (did you mean 'replicas'?)",
            "base.yaml:4:18: src: 'pace' must be 'realtime' or 'fast', not 'slow'",
        ]


@settings(max_examples=60)
@given(st.data())
def test_no_text_is_a_traceback(data: st.DataObject) -> None:
    """Right and wrong files with pieces of others put in: a plan or a list of problems, nothing else."""
    texts = [case[0] for case in CASES.values() if len(case[0]) < 1000]
    text = data.draw(st.sampled_from(texts))
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 8)))
        other = data.draw(st.sampled_from(texts))
        cut = data.draw(st.integers(0, len(other)))
        text = text[:begin] + other[cut : cut + 12] + text[end:]
    with suppress(SpecError):
        tree, problems = parse(text, "g.yaml")
        tree, unset = substitute(tree, {})
        build(read_spec(tree, "g.yaml", [*problems, *unset]), REGISTRY)
