"""The next prompt, as far as it is known: evaluated while nothing else is to be done, so that the turn finds it cached."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator

SESSIONS_WAITING = 100


class Ahead:
    """Which sessions have something to evaluate, and the one whose turn it is.

    :param evaluate: begins with the next prompt of a session, up to these words of the user; resumed while there is nothing
        else to do, closed when there is. What it had done by then stays done.
    """

    def __init__(self, evaluate: Callable[[str, str], Generator[None]]) -> None:
        self._evaluate = evaluate
        self._wanted: OrderedDict[str, str] = OrderedDict()  # by session, what the user has said so far
        self._running: Generator[None] | None = None
        self._held: tuple[str, str] | None = None  # session and words in hand, or done last

    @property
    def waits(self) -> bool:
        """Whether there is something left to evaluate."""
        return bool(self._wanted)

    def words(self, session: str, said: str) -> None:
        """The user has said so much, and goes on."""
        if (session, said) != self._held:
            self._want(session, said)

    def changed(self, session: str) -> None:
        """The next prompt does not begin as the last one and its reply did."""
        if self._held is not None and self._held[0] == session:
            self.pause()
        self._want(session, self._wanted.get(session, ""))

    def asked(self, session: str) -> None:
        """The prompt itself has come: it goes before whatever is evaluated, which is begun anew afterwards."""
        self.pause()
        self._wanted.pop(session, None)

    def go_on(self) -> None:
        """Evaluate for some milliseconds: those first that have waited longest, so that the newest remain in a small cache."""
        if self._running is None:
            if not self._wanted:
                return
            self._held = next(iter(self._wanted.items()))
            self._running = self._one(*self._held)
        try:
            next(self._running)
        except StopIteration:
            self._running = None

    def pause(self) -> None:
        """Let go of the engine; returns within one batch of prompt tokens."""
        if self._running is not None:
            self._running.close()
        self._running = self._held = None

    def _want(self, session: str, said: str) -> None:
        self._wanted[session] = said
        self._wanted.move_to_end(session)
        if len(self._wanted) > SESSIONS_WAITING:
            self._wanted.popitem(last=False)

    def _one(self, session: str, said: str) -> Generator[None]:
        yield from self._evaluate(session, said)
        if self._wanted.get(session) == said:  # no more has been said meanwhile
            del self._wanted[session]
