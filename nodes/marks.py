"""The marks of a turn: what the nodes of a conversation put a time stamp on, in the order in which it happens.

A mark's `at_ns` is monotonic; metrics nodes and the run's report turn it into milliseconds after LAST_SPOKEN_SAMPLE.
"""

from __future__ import annotations

LAST_SPOKEN_SAMPLE = "last_spoken_sample"  # turn: the last loud sample of what the user said, from the samples themselves
TURN_CONFIRMED = "turn_confirmed"  # turn; fields: probability, silence_ms, reason
TRANSCRIPT = "transcript"  # stt; fields: text, confidence, window_s, doubt (why it looked twice, or empty), wasted_ms
FIRST_TOKEN = "first_token"  # llm; fields: prompt_tokens, cached_tokens (of these, not evaluated again)
FIRST_CLAUSE = "first_clause"  # tts: the first clause is known and goes to synthesis; fields: text
FIRST_AUDIO = "first_audio"  # sink: the first sample of the reply leaves
REPLY = "reply"  # llm: the reply is complete; fields: text, tokens, finish_reason, wasted_tokens
PLAYED = "played"  # sink: the last sample of the reply has left; fields: text, samples, gaps, gap_ms
SPEECH_DISMISSED = "speech_dismissed"  # turn: the user spoke while the reply is heard, no interruption; fields: text, spoken_ms
TURN_FAILED = "turn_failed"  # turn: there was no reply, or not all of it was heard; fields: cause

ORDER = (LAST_SPOKEN_SAMPLE, TURN_CONFIRMED, TRANSCRIPT, FIRST_TOKEN, FIRST_CLAUSE, FIRST_AUDIO, REPLY, PLAYED)
