"""An ONNX session of a voice: as many threads as it is given, and a run that can be broken off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from graph.errors import NodeError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class AbortableSession(onnxruntime.InferenceSession):  # type: ignore[misc]  # onnxruntime is untyped
    """A session whose runs end soon after `abort`, called from another thread, by raising what onnxruntime raises."""

    def __init__(self, path: Path, threads: int, device: str = "cpu") -> None:
        """:raises NodeError: the file is no model, or this onnxruntime cannot use the device."""
        provider = PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise NodeError(f"this onnxruntime has no {provider}: install onnxruntime-gpu, or set device: cpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # waiting threads sleep: where the cores are busy, spinning made two threads twice as slow as one
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            super().__init__(str(path), options, providers=[provider])
        except Exception as error:  # onnxruntime's many kinds have no base of their own
            raise NodeError(f"{path} cannot be loaded as an ONNX model: {error}") from error
        self.rearm()

    def run(self, output_names: list[str] | None, input_feed: Mapping[str, Any], run_options: Any = None) -> list[Any]:
        """As the base class; `run_options` other than the session's own would leave `abort` without effect."""
        outputs: list[Any] = super().run(output_names, dict(input_feed), run_options or self._run_options)
        return outputs

    def abort(self) -> None:
        """Let this run, and all others until `rearm`, fail."""
        self._run_options.terminate = True

    def rearm(self) -> None:
        """Let runs succeed again."""
        self._run_options = onnxruntime.RunOptions()
