"""Measurements of voicegraph: what the docs and decisions quote, so that anyone can run it again."""
