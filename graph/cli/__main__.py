"""`python -m graph.cli` is the command `graph`."""

from graph.cli import main

main()
