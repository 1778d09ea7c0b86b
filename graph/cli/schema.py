"""`graph schema`: for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write it into a file.")] = None,
) -> None:
    """Print the JSON Schema of a graph file, every installed node's parameters among it.

    An editor with a YAML language server uses it when the file begins with
    `# yaml-language-server: $schema=graph.schema.json`.

    Exit codes: 0; 1 the file cannot be written.
    """
    from graph.errors import NodeError, VoicegraphError
    from graph.registry import Registry
    from graph.schema import file_schema

    registry = Registry.installed()
    classes = {}
    for name in registry.targets:
        try:
            classes[name] = registry.load(name)
        except NodeError as error:
            typer.echo(f"left out: {error}", err=True)
    text = json.dumps(file_schema(classes), indent=2, ensure_ascii=False)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(text + "\n")
    except OSError as error:
        raise VoicegraphError(f"cannot write the schema to {output}: {error.strerror}") from error
