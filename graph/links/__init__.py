"""The data plane: streams (PUB/SUB, fan out, drop and count) and queues (PUSH/PULL, one taker, back-pressure)."""
