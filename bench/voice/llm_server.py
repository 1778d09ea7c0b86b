"""The language model behind an OpenAI-compatible server on this machine: llama.cpp's, from xllamacpp.

python -m bench.voice.llm_server FILE PORT THREADS
"""

from __future__ import annotations

import signal
import sys

from xllamacpp import CommonParams, Server

ERRORS_ONLY = 1


def main() -> None:
    file, port, threads = sys.argv[1:]
    params = CommonParams()
    params.model.path = file
    params.port = int(port)
    params.n_ctx = 2048  # as our node has it
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.verbosity = ERRORS_ONLY
    server = Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
