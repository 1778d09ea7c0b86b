"""A neighbour that takes a core and the interpreter's lock: `python -m bench.isolation.hog` until it is killed.

One thread that counts, as any loop in Python does: it gives the lock away only when another thread has waited for it for the
interpreter's switch interval, 5 ms. Needs nothing but the standard library.
"""

from __future__ import annotations

import threading
from itertools import count

LOOK = 10_000  # numbers between two looks at whether it should stop


def burn(stopped: threading.Event) -> None:
    """Until it is told to stop."""
    for number in count():
        if number % LOOK == 0 and stopped.is_set():
            return


def started() -> threading.Event:
    """In a thread of this process; the event stops it."""
    stopped = threading.Event()
    threading.Thread(target=burn, args=(stopped,), name="hog", daemon=True).start()
    return stopped


if __name__ == "__main__":
    burn(threading.Event())
