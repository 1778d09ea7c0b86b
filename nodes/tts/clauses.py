"""Cuts text into clauses while it is being written, so that the first can be spoken before the last is known.

Where a sentence ends is judged by sentencex (docs/decisions/0005-clauses.md); this file decides when to ask it, and where
to cut sooner. Decisions fall character by character, so they never depend on how the text was cut into tokens.
"""

from __future__ import annotations

import re
import unicodedata

import sentencex

# Lengths count letters: about 15 of them are a second of English speech.
SOONEST = 20  # the first clause may end at a comma from here on; each later one must be longer by as much
LONGEST = 200  # a sentence longer than this is cut in any case
# In a hurry the first clause ends at a comma, and before a word that begins a phrase or a number that takes long to say, where
# a speaker may pause, from so many letters on,
BEFORE_A_PHRASE = 15
AT_A_WORD = 60  # or at any word
_JOINTS = {
    "de": "und aber oder sondern weil dass wenn wo damit obwohl während bis mit ohne für von aus bei nach auf über durch",
    "en": "and but or nor so because which that who whose when where while if unless although though since until after before "
    "with without from by in on at as than about into through between during like for",
    "es": "y o pero porque que cuando donde mientras si aunque con sin para por en desde hasta sobre",
    "fr": "et ou mais car qui que quand où pendant si bien avec sans pour par dans sur depuis chez",
    "it": "e o ma perché che quando dove mentre se anche con senza per in su da tra",
    "pt": "e ou mas porque que quando onde enquanto se embora com sem para por em desde até sobre",
}
_WIDE_LETTERS = 3  # a Chinese, Japanese or Korean character takes as long to say as so many letters

_CLOSERS = "\"'”’»)]}」』）》】〉*_`"  # may follow a mark and belong to it
_WIDE_ENDS, _WIDE_COMMAS = "。！？｡．", "，、；："  # end a sentence or a clause without a space after them
_CLOSED = f"[{re.escape(_CLOSERS)}]*"
_ENDS = re.compile(f"[.!?…؟۔।॥{_WIDE_ENDS}]")
_SOFT = rf"(?:[,;:،؛]{_CLOSED}\s+|[{_WIDE_COMMAS}]{_CLOSED}\s*|\s[-–—]+\s+|—+\s*)"
_SOFT_END = re.compile(_SOFT + "$")
_SENTENCE_END = re.compile(rf"(?:{_ENDS.pattern}{_CLOSED}\s*|\n)$")
_MARKS = re.compile(r"[*_`~]+\s+")
_FENCES = ("```", "~~~")
_WHITESPACE = re.compile(r"\s")
_LAST_WORD = re.compile(r"(?<=\s)(\w+)\s$")
_LONG_NUMBER = re.compile(r"(?<=\s)(?:\d[.,]?){5,}$")
_LIST_MARK = re.compile(r"\s*\(?(?:\d{1,3}|[A-Za-z])[.)]\s*")  # "2. ", "b) ": belongs to what follows
_NOT_AN_END = re.compile(r"\b(?:Ms|Mx|approx|vol|tel)\.\s*$")  # abbreviations that sentencex does not know


class Clauses:
    """The clauses of one reply. Put together again, they are the text, to the last space.

    A clause ends with its sentence, with its line, at a comma or dash once it is long enough, or at a word's end where it
    grows too long. A fenced block of code is one clause.

    :param hurry: the first may end in the middle of a sentence, too, for then it is heard sooner.
    """

    def __init__(self, language: str = "en", *, hurry: bool = False) -> None:
        self._language = language.partition("-")[0]  # ISO 639
        self._joints = frozenset(_JOINTS.get(self._language, "").split())
        self._hurry = hurry
        self._rest = ""
        self._soonest = SOONEST

    def feed(self, text: str) -> list[str]:
        """The clauses that are certain now."""
        clauses = []
        for char in text:
            self._rest += char
            while cut := self._cut(char):
                clauses.append(self._rest[:cut])
                self._rest = self._rest[cut:]
                self._soonest += SOONEST
        return clauses

    @property
    def rest(self) -> str:
        """What is not yet known to be a clause."""
        return self._rest

    def flush(self) -> list[str]:
        """The text has ended: what is left of it."""
        rest, self._rest, self._soonest = self._rest, "", SOONEST
        return [rest] if rest else []

    def _cut(self, char: str) -> int:
        """Where the first clause of the rest ends; 0 while that is not certain."""
        rest = self._rest
        if not rest.strip():
            return 0
        if is_code(rest):
            return len(rest) if char == "\n" and _is_closed(rest) else 0
        if char == "\n":
            return self._sentence() or len(rest)
        if _begins_word(rest):
            if cut := self._sentence():
                return cut
            before = rest[:-1]
            soonest = BEFORE_A_PHRASE if self._first else self._soonest
            if _SOFT_END.search(before) and length(before) >= soonest and not _is_date(rest):
                return len(before)
            if self._first and length(before) >= AT_A_WORD:
                return len(before)
        if self._first and (phrase := self._phrase()) and _long_enough(rest[:phrase]):
            return phrase
        return _overlong(rest) if length(rest) > LONGEST else 0

    def _phrase(self) -> int:
        """Where what was written last begins a phrase; 0 if it does not."""
        joint = _LAST_WORD.search(self._rest)
        if joint and joint[1] in self._joints:
            return joint.start()
        number = _LONG_NUMBER.search(self._rest)
        return number.start() if number else 0

    @property
    def _first(self) -> bool:
        """True while the first clause is looked for, and that in a hurry."""
        return self._hurry and self._soonest == SOONEST

    def _sentence(self) -> int:
        """Where the first sentence ends, asked when a word begins: what the next word is like decides about a full stop."""
        if not _ENDS.search(self._rest, 0, len(self._rest) - 1):
            return 0
        # sentencex panics on wide white space after a capital (1.0.32)
        text = _WHITESPACE.sub(" ", self._rest)
        for found in sentencex.get_sentence_boundaries(self._language, text)[:-1]:
            end: int = found["end_index"]
            if marks := _MARKS.match(text, end):  # "**so.** Then": sentencex leaves the stars to the next sentence
                end = marks.end()
            sentence, following = text[:end], text[end:].lstrip()
            lower = sentence.rstrip().endswith(".") and following[:1].islower()
            if not (lower or not sentence.strip() or _LIST_MARK.fullmatch(sentence) or _NOT_AN_END.search(sentence)):
                return end
        return 0


def _long_enough(text: str) -> bool:
    return length(text.rstrip()) >= BEFORE_A_PHRASE


def length(text: str) -> int:
    """How long a text is to speak, in letters."""
    return sum(_WIDE_LETTERS if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def is_code(clause: str) -> bool:
    """Whether a clause is a fenced block of code, or begins one."""
    return clause.lstrip().startswith(_FENCES)


def ends_sentence(clause: str) -> bool:
    """Whether a clause ends where a sentence or a line does."""
    return _SENTENCE_END.search(clause) is not None


def ends_softly(clause: str) -> bool:
    """Whether a clause ends at a comma, colon or dash."""
    return _SOFT_END.search(clause) is not None


def goes_together(clause: str, following: str) -> bool:
    """Whether two clauses of a text may as well be spoken as one: within a sentence, and not too long."""
    within = (ends_softly(clause) or goes_on(clause)) and not is_code(clause)
    return within and not is_code(following) and length(clause) + length(following) <= LONGEST


def goes_on(clause: str) -> bool:
    """Whether a clause ends in the middle of a sentence, without a mark."""
    return clause[-1:].isspace() and not ends_sentence(clause) and not ends_softly(clause)


def _is_closed(code: str) -> bool:
    first, *others = code.strip().splitlines()
    return bool(others) and others[-1].strip() == first[:3]


def _begins_word(text: str) -> bool:
    """Whether the last character is the first of a word: after a space, or after a mark of a script without spaces."""
    last, before = text[-1], text[:-1]
    if last.isspace() or not before:
        return False
    if before[-1].isspace() or before[-1] == "—":
        return True
    mark = before.rstrip(_CLOSERS)[-1:]
    return mark != "" and mark in _WIDE_ENDS + _WIDE_COMMAS and last not in _CLOSERS + _WIDE_ENDS


def _is_date(text: str) -> bool:
    """Whether a comma stands between digits, as in "May 5, 2020"."""
    return text[-1].isdigit() and re.search(r"\d,\s+\d$", text) is not None


def _overlong(text: str) -> int:
    """Where to cut a clause that is too long: after its last comma, else its last word, else right here."""
    third = len(text) // 3
    if marks := [m.end() for m in re.finditer(_SOFT, text) if third < m.end() < len(text)]:
        return marks[-1]
    if spaces := [m.end() for m in re.finditer(r"\s+", text) if third < m.end() < len(text)]:
        return spaces[-1]
    end = len(text) - 1
    while end > third and (unicodedata.category(text[end]).startswith("M") or "\u200d" in text[end - 1 : end + 1]):
        end -= 1  # an accent, a vowel sign or a joiner stays with its letter
    return end
