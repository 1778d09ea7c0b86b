"""Tells when a graph file was saved, however an editor does that: in place, in two goes, or by renaming another over it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from graph.plan import Plan

SETTLE_S = 0.2  # after the last event: an editor that writes twice, or half, has then written all
_WRITTEN = ("created", "modified", "moved", "closed")


class Watch:
    """Watches the folder of a graph file, for that and all other YAML files in it, which it may include.

    :param code: Python files of nodes, to be watched as well.
    :param read: reads and plans the file; raises a `VoicegraphError` with what is wrong in it.
    """

    def __init__(self, file: Path, read: Callable[[], Plan], code: Iterable[Path] = ()) -> None:
        self.read = read
        self.woken, self._waker = socket.socketpair()
        for end in (self.woken, self._waker):
            end.setblocking(False)
        self._due_s: float | None = None
        self._observer = Observer()
        handler = _Handler(file, {path.name for path in code}, self._saved)
        for folder in {str(path.resolve().parent) for path in (file, *code)}:
            self._observer.schedule(handler, folder)
        self._observer.start()

    def _saved(self) -> None:
        """Called by the observer's thread."""
        self._due_s = time.monotonic() + SETTLE_S
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            return

    def due(self, now_s: float) -> bool:
        """True once when a file was saved, and has been left alone since."""
        try:
            while self.woken.recv(4096):
                pass
        except BlockingIOError:
            pass
        if self._due_s is None or now_s < self._due_s:
            return False
        self._due_s = None
        return True

    @property
    def pending(self) -> bool:
        """True while a file was saved and it is not `due` yet."""
        return self._due_s is not None

    def close(self) -> None:
        """End the observer's threads."""
        self._observer.stop()
        self._observer.join()
        self.woken.close()
        self._waker.close()


class _Handler(FileSystemEventHandler):
    def __init__(self, file: Path, code: set[str], saved: Callable[[], None]) -> None:
        self._names = {file.name, *code}
        self._saved = saved

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in _WRITTEN or event.is_directory:
            return
        names = [Path(str(path)).name for path in (event.src_path, event.dest_path) if path]
        if any(name in self._names or name.endswith((".yaml", ".yml")) for name in names):
            self._saved()
