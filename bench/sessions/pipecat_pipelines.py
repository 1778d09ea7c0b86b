"""A pipeline a conversation, all in one process: `python -m bench.sessions.pipecat_pipelines OPTIONS` with OPTIONS as JSON.

They share the stand-ins, as they would a model that does not fit into memory twice.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from pipecat.audio.vad.silero import SileroVADAnalyzer

from bench.pipecat_standins import Model, Replying, Transcriber
from bench.sessions.script import REPLY_MS, TAKES_MS, session_name, shared_out
from bench.voice.pipecat_pipeline import Microphone, Session, converse, put_together
from bench.voice.script import questions


async def main(options: dict[str, Any]) -> None:
    stt, llm, tts = (Model(TAKES_MS[node]) for node in ("stt", "llm", "tts"))
    conversations = {}
    for number, sounds in enumerate(shared_out(questions(), options["sessions"])):
        session = Session(session_name(number))
        conversations[session] = put_together(
            session, Microphone(session, sounds), Transcriber(stt), [Replying(llm, tts, REPLY_MS)], SileroVADAnalyzer()
        )
    await converse(conversations)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
