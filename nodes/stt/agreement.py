"""Which words of a growing transcript are stable: text in, text out.

LocalAgreement-2 (Liu et al. 2020; Macháček et al. 2023, "Turning Whisper into real-time transcription"): what two looks in a
row, the later one at more sound, agree on from the beginning stays as it is; what follows may still change.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"\S+")
_MARKS = re.compile(r"[^\w'’]+")


class Agreement:
    """One utterance that still goes on."""

    def __init__(self) -> None:
        self._last: list[str] = []
        self._stable = 0  # words

    def hear(self, text: str) -> str:
        """Take in a look at all that was said so far; gives the words that are stable now, empty where there are no more.

        Words agree whatever their case and the marks around them; they are written as the later look has them. A stable word
        is never taken back: if a later look differs there, nothing more is stable until one agrees again.
        """
        words = _WORD.findall(text)
        agreed = 0
        for earlier, later in zip(self._last, words, strict=False):
            if _bare(earlier) != _bare(later):
                break
            agreed += 1
        self._last = words
        if agreed <= self._stable:
            return ""
        self._stable = agreed
        return " ".join(words[:agreed])


def _bare(word: str) -> str:
    return _MARKS.sub("", word).casefold()
