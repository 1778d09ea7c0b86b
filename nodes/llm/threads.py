"""How many threads a language model may have."""

from __future__ import annotations

import os


def spare_threads() -> int:
    """As many as the graph gives this process (`resources: {threads: …}`), else one less than there are cores.

    With a thread for every core, llama.cpp beside one busy process all but stops (measured on 2 cores: no answer within
    9 s): its threads wait for each other after every step.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else max(1, len(os.sched_getaffinity(0)) - 1)
