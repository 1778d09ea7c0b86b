"""`graph doctor`: looks at a machine, and says what a graph lacks on it and which command mends it."""
