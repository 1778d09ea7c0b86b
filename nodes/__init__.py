"""The node library: one package a family, one file an engine; a family's contract stands in its `base.py`."""
