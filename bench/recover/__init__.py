"""How soon a graph runs, comes back after a death, and ends; beside dora."""
