"""Why a turn ends without its reply: what nodes say of that, in the order of the turn."""

from __future__ import annotations

NOT_UNDERSTOOD = "nothing was understood"  # of what the user said; mostly it was no speech
MODEL_FAILED = "the language model failed"
NO_WORDS = "the language model said nothing"
NOTHING_TO_SAY = "there was nothing to say"
NO_SOUND = "the voice made no sound"
BROKE_OFF = "the reply broke off"
NOT_HEARD = "nothing was heard"  # in time: a stage is late, or it died

QUIET = frozenset({NOT_UNDERSTOOD, NOTHING_TO_SAY})  # nobody waits for an answer, and for an apology even less
