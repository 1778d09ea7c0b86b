"""What a sink was given of a turn's reply, and which of its words were heard when it is cut short."""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.kinds import Played
from nodes.tts.base import Spoken

GAP_NS = 10_000_000  # a sound card takes blocks of that; what is shorter is no gap that anybody hears
FIRST_WITHOUT_SPACES = "\u0e00"  # Thai; above it lie the scripts that put no spaces between words


@dataclass(slots=True, eq=False)
class Reply:
    """The reply of one turn, as it comes in."""

    session: str
    turn: int
    revision: int
    sample_rate: int = 0  # Hz, of the audio frames; 0 until one came
    samples: int = 0  # in the frames so far
    complete: bool = False  # nothing more belongs to it
    cause: str = ""  # why it is not all of it
    gaps: int = 0  # how often its next sample came too late
    gap_ns: int = 0  # all together
    _pieces: list[Spoken] = field(default_factory=list)

    def older_than(self, turn: int, revision: int) -> bool:
        """Turn 0 belongs to no turn and is never old."""
        return self.turn > 0 and (self.turn, self.revision) < (turn, revision)

    def waited(self, ns: int) -> None:
        """So long nothing was heard, because its next sample had not come yet."""
        if ns >= GAP_NS:
            self.gaps += 1
            self.gap_ns += ns

    def say(self, piece: Spoken) -> None:
        """The frames since the last piece say this."""
        self._pieces.append(piece)
        self.complete, self.cause = piece.last, piece.cause

    def played(self, heard: int | None = None) -> Played:
        """The message that it was heard as a whole, or that it was interrupted after so many of its samples.

        Of the piece in which it broke off, the text's share is that of the samples, less a word begun.
        """
        gap_ms = round(self.gap_ns / 1e6)
        if heard is None:
            text = self._text(self.samples)
            return Played(text, self.samples, self.sample_rate, cause=self.cause, gaps=self.gaps, gap_ms=gap_ms)
        return Played(self._text(heard), heard, self.sample_rate, interrupted=True, gaps=self.gaps, gap_ms=gap_ms)

    def _text(self, left: int) -> str:
        heard: list[str] = []
        for piece in (one for one in self._pieces if one.samples):  # what made no sound was not heard
            text = piece.text.strip()
            heard.append(text if left >= piece.samples else _part(text, left / piece.samples))
            left = max(0, left - piece.samples)
        return " ".join(filter(None, heard))


def _part(text: str, share: float) -> str:
    end = int(len(text) * share)
    while 0 < end < len(text) and not _between_words(text[end - 1], text[end]):
        end -= 1
    return text[:end].rstrip()


def _between_words(left: str, right: str) -> bool:
    return left.isspace() or right.isspace() or max(left, right) >= FIRST_WITHOUT_SPACES
