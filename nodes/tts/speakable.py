"""Written text made fit to be spoken: marks of Markdown, emoji and code are for the eye."""

from __future__ import annotations

import re

from nodes.tts.clauses import is_code

_MARKS = [  # in this order
    (re.compile(r"^\s*(?:[-*_=]\s*){3,}$|^[\s|:-]+$", re.M), ""),  # rules, and the second line of a table
    (re.compile(r"^\s*#{1,6}\s+|^\s*(?:>\s*)+|^\s*[-*+•‣◦▪]\s+(?:\[[ xX]\]\s+)?", re.M), ""),  # headings, quotes, bullets
    (re.compile(r"!?\[([^\]]*)\]\(\S*?\)"), r"\1"),  # a link is its text
    (re.compile(r"\]\(\S*?\)"), ""),  # the end of a link that begins in an earlier clause
    (re.compile(r"\bhttps?://(?:www\.)?"), ""),
    (re.compile(r"^\s*\||\|\s*$", re.M), ""),  # a table's edges
    (re.compile(r"\s*\|\s*"), ", "),  # and its columns
    (re.compile(r"\*{2,}|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)"), ""),  # but 2 * 3 and 2*3 stay
    (re.compile(r"(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)"), ""),  # but snake_case stays
    (re.compile(r"~~|`"), ""),
    # emoji: the blocks of Unicode's emoji-data.txt outside of ordinary punctuation, with what joins and varies them
    (re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+"), " "),
    (re.compile(r"\s+"), " "),
    (re.compile(r" (?=[.,;:!?]+(?: |$))"), ""),  # where something was taken out before a mark
]
_WORD = re.compile(r"\w")


def speakable(clause: str) -> str:
    """What is said of a clause; empty where it holds nothing to say: a rule, an emoji, a block of code."""
    if is_code(clause):
        return ""
    for mark, spoken in _MARKS:
        clause = mark.sub(spoken, clause)
    clause = clause.strip()
    return clause if _WORD.search(clause) else ""
