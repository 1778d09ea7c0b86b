"""Put on PYTHONPATH, it notes down in every Python process what the default path must never do: load torch or spaCy,
look up a host, or connect to anything but this machine. One line an event in the file $VOICEGRAPH_AUDIT."""

import os
import sys

FORBIDDEN = {"torch", "spacy"}
HERE = {"localhost", "127.0.0.1", "::1", None, ""}


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "import" and arguments[0] in FORBIDDEN:
        what = f"import {arguments[0]}"
    elif event == "socket.getaddrinfo" and arguments[0] not in HERE:
        what = f"look up {arguments[0]!r}"
    elif event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in HERE:
        what = f"connect to {arguments[1]!r}"
    else:
        return
    file = os.open(os.environ["VOICEGRAPH_AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{what} in {' '.join(sys.argv)}\n".encode())
    os.close(file)


sys.addaudithook(_note)
