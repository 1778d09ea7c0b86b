"""Word error and time of the fitted Whisper window against the full one: docs/decisions/0004-fitted-mel-window.md.

    python -m bench.stt_window [--sample 60] [--threads 2] [--bare 2:5 --bare 4:8] [--json FILE]

Every clip goes through every arm before the next clip, in a changing order, so that what else the machine does falls on all.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from bench.speech import Clip, corpus
from graph.models import locate
from graph.scenarios.word_error import WordError, total, word_error
from graph.testing import Harness
from nodes.stt.doubt import Limits
from nodes.stt.faster_whisper import FasterWhisper, FasterWhisperConfig
from nodes.stt.fitted_whisper import FittedWhisper, Options
from nodes.turn.base import Utterance

FULL, FIT = "30 s", "fit"


@dataclass(frozen=True, slots=True)
class Run:
    """One clip through one arm."""

    arm: str
    voice: str
    sort: str
    audio_s: float
    said: str
    text: str
    ms: float
    doubt: str
    error: WordError


Arm = Callable[[Clip], tuple[str, str]]  # gives the text and why there was a second look


def node_arm(window: str | float, model: str, threads: int) -> Arm:
    """The node as it stands, with that `window`."""
    harness = Harness(FasterWhisper, model=model, language="en", threads=threads, window=window)

    def transcribe(clip: Clip) -> tuple[str, str]:
        pcm = np.clip(clip.samples * 32768, -32768, 32767).astype("<i2").tobytes()
        (sent,) = harness.feed("speech", Utterance(start=0), pcm)
        return sent.body.text, str(harness.marks[-1].mark.fields["doubt"])

    return transcribe


def bare_arm(whisper: FittedWhisper, margin_s: float, shortest_s: float) -> Arm:
    """A shorter window without a second look: the audio and a margin, and at least so much."""
    options = Options(Limits(no_speech=1.0, log_prob=-9.0, compression_ratio=999.0), language="en")

    def transcribe(clip: Clip) -> tuple[str, str]:
        written, _ = whisper.write(clip.samples, min(30.0, max(shortest_s, clip.seconds + margin_s)), options)
        return " ".join(w.text for w in written), ""

    return transcribe


def measure(clips: Sequence[Clip], arms: dict[str, Arm]) -> list[Run]:
    """Send every clip through every arm."""
    order, runs = random.Random(0), []
    for number, clip in enumerate(clips, 1):
        for arm in order.sample(sorted(arms), len(arms)):
            begin = time.perf_counter()
            text, doubt = arms[arm](clip)
            ms = (time.perf_counter() - begin) * 1000
            error = word_error(clip.text, text)
            runs.append(Run(arm, clip.voice, clip.sort, round(clip.seconds, 2), clip.text, text, round(ms, 1), doubt, error))
        print(f"\r{number} of {len(clips)} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return runs


def table(runs: Sequence[Run], arms: Sequence[str]) -> str:
    """Word error, median time and second looks by kind of speech, as Markdown."""
    lines = ["| speech | clips | " + " | ".join(f"{a}: word error, median ms, second looks" for a in arms) + " |"]
    lines.append("|---" * (2 + len(arms)) + "|")
    groups = list(dict.fromkeys(f"{r.sort}, {r.voice}" for r in sorted(runs, key=lambda r: (r.sort, r.voice))))
    for group in [*groups, "all"]:
        chosen = [r for r in runs if group in ("all", f"{r.sort}, {r.voice}")]
        cells = []
        for arm in arms:
            mine = [r for r in chosen if r.arm == arm]
            looks = sum(bool(r.doubt) for r in mine)
            ms = statistics.median(r.ms for r in mine)
            cells.append(f"{100 * total(r.error for r in mine).rate:.1f} %, {ms:.0f}, {looks}")
        lines.append(f"| {group} | {len(chosen) // len(arms)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="base")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sample", type=int, help="so many clips, chosen at random but always the same")
    parser.add_argument("--bare", action="append", default=[], metavar="MARGIN:SHORTEST", help="seconds; no second look")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    parser.add_argument("--cache", type=Path, default=user_cache_path("voicegraph") / "speech", help="where the speech is kept")
    options = parser.parse_args()

    clips = list(corpus(options.cache))
    if options.sample:
        clips = random.Random(0).sample(clips, options.sample)
    arms = {FULL: node_arm(30, options.model, options.threads), FIT: node_arm("fit", options.model, options.threads)}
    if options.bare:
        (reference,) = FasterWhisper.models(FasterWhisperConfig.model_validate({"model": options.model}))
        whisper = FittedWhisper(str(locate(reference)), device="cpu", compute_type="int8", cpu_threads=options.threads)
        for bare in options.bare:
            margin_s, shortest_s = map(float, bare.split(":"))
            arms[f"+{margin_s:g} s, from {shortest_s:g} s"] = bare_arm(whisper, margin_s, shortest_s)
    runs = measure(clips, arms)
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in runs], indent=1))
    print(table(runs, list(arms)))
    for run in runs:
        if run.error.errors and run.arm == FIT:
            print(f"- {run.voice}, {run.sort}: “{run.said}” was understood as “{run.text}” {run.doubt}")


if __name__ == "__main__":
    main()
