"""Small ONNX models that run on one thread: on little work a second thread costs more than it brings."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from graph.errors import NodeError


def single_threaded(file: Path) -> onnxruntime.InferenceSession:
    """Load a model.

    :raises NodeError: the file is not an ONNX model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: what is wrong is raised, too
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's many kinds have no base of their own
        raise NodeError(f"{file} cannot be loaded as an ONNX model: {error}") from error
