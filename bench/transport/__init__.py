"""The transport bench: the same messages through the engine and through what others use, on one machine."""
