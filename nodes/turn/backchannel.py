"""Which words of a listener ask for the word, and which only show that he listens: text in, a count out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

LISTS = Path(__file__).with_name("backchannel.toml")
DEFAULT_LANGUAGE = "en"  # of a transcript that does not tell, and in the place of one that has no list

Phrases: TypeAlias = frozenset[tuple[str, ...]]

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_REPEATED = re.compile(r"(\w)\1+")


def words(text: str) -> tuple[str, ...]:
    """The words of a text, in lower case, letters that repeat once: "Mmm-hmm!" is ("m", "hm")."""
    return tuple(_REPEATED.sub(r"\1", word.replace("’", "'")) for word in _WORD.findall(text.casefold()))


def phrases(texts: Iterable[str]) -> Phrases:
    """What `meant` leaves out."""
    return frozenset(filter(None, map(words, texts)))


@cache
def listening(language: str) -> Phrases:
    """What a listener says in this language (ISO 639-1), as the list of it has it."""
    lists = _lists()
    return lists.get(language, lists[DEFAULT_LANGUAGE])


@cache
def _lists() -> dict[str, Phrases]:
    return {language: phrases(texts) for language, texts in tomllib.loads(LISTS.read_text(encoding="utf-8")).items()}


def meant(text: str, without: Phrases) -> int:
    """How many words of a text are no part of any of these phrases; the longest phrase is left out first."""
    left, longest, count = words(text), max(map(len, without), default=0), 0
    while left:
        length = next((n for n in range(min(longest, len(left)), 0, -1) if left[:n] in without), 0)
        count += not length
        left = left[length or 1 :]
    return count


def own_list(texts: Sequence[str] | None, language: str) -> Phrases:
    """The list that was given, or else the one of the language."""
    return listening(language) if texts is None else phrases(texts)
