"""`python -m bench` knows its commands."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bench.__main__ import app


@pytest.mark.parametrize("command", ["transport", "recover", "swap", "voice", "bargein", "isolation", "sessions"])
def test_help(command: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"])
    assert told.exit_code == 0, told.output
    assert "--rounds" in told.output
