"""bench/voice's pipeline with the neighbour in a thread of its process."""

from __future__ import annotations

import asyncio
import json
import sys

from bench.isolation import hog
from bench.voice.pipecat_pipeline import main

if __name__ == "__main__":
    hog.started()
    asyncio.run(main(json.loads(sys.argv[1])))
