"""Finds the words of a script in sound by their samples."""

from __future__ import annotations

from pathlib import Path

from graph.scenarios.steps import Script
from nodes.scenario.sounds import sound_of, word_ends, words_of

PRINT_SAMPLES = 64  # of a word, from its middle: no two places of speech have the same


class KnownWords:
    """All that is said in a script, word by word."""

    def __init__(self, script: Script, speech: Path, room_db: float) -> None:
        """:raises VoicegraphError: as `sound_of`."""
        self._prints: dict[str, list[tuple[bytes, str]]] = {}
        for session, steps in script.items():
            prints = self._prints[session] = []
            for step in steps:
                if not (words := words_of(step)):
                    continue
                sound, begin = sound_of(step, speech, room_db), 0
                for word, end in word_ends(words, len(sound)):
                    middle = max(0, (begin + end - PRINT_SAMPLES) // 2)
                    prints.append((sound[middle : middle + PRINT_SAMPLES].tobytes(), word))
                    begin = end

    def heard(self, session: str, payload: bytes | memoryview) -> str:
        """The words in a piece of sound (s16), in the order in which they are heard."""
        sound, found = bytes(payload), []
        for print_, word in dict.fromkeys(self._prints.get(session, ())):
            at = sound.find(print_)
            while at >= 0:
                found.append((at, word))
                at = sound.find(print_, at + 1)
        return " ".join(word for _, word in sorted(found))
