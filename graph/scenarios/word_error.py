"""Word error rate: how far what was recognised is from what was said.

    total = word_error("Set a timer for 5 minutes.", "set the timer for five minutes")
    total.rate  # 1 wrong word of 6: 0.167

Both sides are normalised first, so that only words count: case, punctuation and spelling of numbers do not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

# fmt: off
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
# fmt: on
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_SPELLINGS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "ok": "okay", "vs": "versus"}
_NUMBER = re.compile(r"(?<!\w)([$€£]?)(\d+(?:,\d{3})*)(?:\.(\d+)|:(\d\d))?(st|nd|rd|th)?\b(%?)")
_CURRENCIES = {"$": "dollars", "€": "euros", "£": "pounds"}


@dataclass(frozen=True, slots=True)
class WordError:
    """Counts of one comparison, or of several added up: the rate of a sum is weighted by length, as is usual."""

    substitutions: int = 0
    deletions: int = 0  # words that were said and not recognised
    insertions: int = 0  # words that were recognised and not said
    words: int = 0  # in the reference

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per word said; above 1 where more was invented than said."""
        return self.errors / max(self.words, 1)

    def __add__(self, other: Self) -> WordError:
        return WordError(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
        )


def word_error(reference: str, hypothesis: str) -> WordError:
    """Compare what was recognised with what was said, by the alignment with the fewest errors (Levenshtein)."""
    said, heard = words(reference), words(hypothesis)
    # row[j] = (errors, substitutions, deletions, insertions) between the words of `said` so far and heard[:j]
    row = [(j, 0, 0, j) for j in range(len(heard) + 1)]
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], (i, 0, i, 0)
        for j, other in enumerate(heard, 1):
            above, left = row[j], row[j - 1]
            if word == other:
                best = diagonal
            else:
                e, s, d, n = diagonal
                best = (e + 1, s + 1, d, n)
                if above[0] + 1 < best[0]:
                    best = (above[0] + 1, above[1], above[2] + 1, above[3])
                if left[0] + 1 < best[0]:
                    best = (left[0] + 1, left[1], left[2], left[3] + 1)
            diagonal, row[j] = above, best
    _, substitutions, deletions, insertions = row[-1]
    return WordError(substitutions, deletions, insertions, len(said))


def total(errors: Iterable[WordError]) -> WordError:
    """The counts of many comparisons as one."""
    return sum(errors, WordError())


def words(text: str) -> list[str]:
    """The words of a text as they are compared: lower case, no punctuation or accents, numbers written out in English."""
    text = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = _NUMBER.sub(_spell_match, text)
    text = text.replace("'", "").replace("&", " and ")  # "what's" is one word: whats
    return [_SPELLINGS.get(word, word) for word in re.findall(r"[^\W_]+", text)]


def _spell_match(match: re.Match[str]) -> str:
    currency, digits, decimals, minutes, ordinal, percent = match.groups()
    number = int(digits.replace(",", ""))
    said = _year(number) if len(digits) == 4 and not (currency or ordinal or percent) else _cardinal(number)
    if decimals:
        said = [*_cardinal(number), "point", *(_ONES[int(d)] for d in decimals)]
    elif minutes:
        said += [] if minutes == "00" else ["oh", _ONES[int(minutes)]] if minutes[0] == "0" else _cardinal(int(minutes))
    elif ordinal:
        said[-1] = _ordinal(said[-1])
    if currency:
        said.append(_CURRENCIES[currency])
    if percent:
        said.append("percent")
    return f" {' '.join(said)} "


def _cardinal(number: int) -> list[str]:
    """105 -> one hundred five."""
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    return [*_cardinal(number // size), name, *(_cardinal(number % size) if number % size else [])]


def _year(number: int) -> list[str]:
    """1969 -> nineteen sixty nine, the way four digits are mostly said; 2005 and 3000 are said as numbers."""
    century, year = divmod(number, 100)
    if year < 10 or not 11 <= century <= 20:
        return _cardinal(number)
    return [*_cardinal(century), *_cardinal(year)]


def _ordinal(word: str) -> str:
    if word in _IRREGULAR_ORDINALS:
        return _IRREGULAR_ORDINALS[word]
    return f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th"
