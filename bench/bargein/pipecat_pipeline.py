"""Pipecat with the same stand-ins: `python -m bench.bargein.pipecat_pipeline OPTIONS` with OPTIONS as JSON.

VAD, turn strategies, aggregators and transports are Pipecat's, with public options only.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import InterruptionFrame
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.frame_processor import FrameDirection

from bench.bargein.script import DROPPED, REPLY_MS, TAKES_MS, over
from bench.pipecat_standins import Model, Replying, Transcriber
from bench.recover.ends import folder, now_ns
from bench.square_wave import Ear
from bench.voice.pipecat_pipeline import Loudspeaker, Microphone, Observer, Session, converse, put_together
from bench.voice.script import questions


class HeardLoudspeaker(Loudspeaker):
    """Writes down what leaves it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._ear = Ear(folder())

    def plays(self, samples: NDArray[np.int16], sample_rate: int, end_ns: int) -> None:
        self._ear.hear(samples, sample_rate, end_ns)


class InterruptionObserver(Observer):
    """Notes interruptions, too."""

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.first_push and isinstance(data.frame, InterruptionFrame) and data.direction is FrameDirection.DOWNSTREAM:
            self._session.note(DROPPED, now_ns(), self._session.turn)
        await super().on_push_frame(data)


async def main(options: dict[str, Any]) -> None:
    session = Session()
    vad = VADParams() if options["start_secs"] is None else VADParams(start_secs=options["start_secs"])
    stt, llm, tts = (Model(TAKES_MS) for _ in range(3))
    conversation = put_together(
        session,
        Microphone(session, questions(), over(options["alarms"])),
        Transcriber(stt),
        [Replying(llm, tts, REPLY_MS)],
        SileroVADAnalyzer(params=vad),
        HeardLoudspeaker(session),
        InterruptionObserver(session),
    )
    await converse({session: conversation})


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
