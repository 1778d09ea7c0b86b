"""`python -m bench COMMAND`: the benches that have a command; `python -m bench.stt_window` stands by itself."""

from __future__ import annotations

import typer

from bench.bargein.command import bargein
from bench.isolation.command import isolation
from bench.recover.command import recover
from bench.sessions.command import sessions
from bench.swap.command import swap
from bench.transport.command import transport
from bench.voice.command import voice

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def benches() -> None:
    """Measurements of voicegraph, against others where there are others."""


app.command()(transport)
app.command()(recover)
app.command()(swap)
app.command()(voice)
app.command()(bargein)
app.command()(isolation)
app.command()(sessions)

if __name__ == "__main__":
    app(prog_name="python -m bench")
