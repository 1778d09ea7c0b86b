"""The arguments that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

DEFAULT_FILE = Path("pipelines.yaml")

File: TypeAlias = Annotated[Path, typer.Argument(help="The graph file.")]
Overlays: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("-o", "--overlay", metavar="PATH=VALUE", help="Change a value: -o nodes.stt.with.model=small"),
]
