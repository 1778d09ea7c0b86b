"""`resources:` of a node, as the environment and the state of its process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graph.errors import NodeError
from graph.plan import Resources

# Every numeric library reads its thread count from the environment, when it is loaded or first used.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",  # OpenMP: ctranslate2, torch, scikit-learn
    "OPENBLAS_NUM_THREADS",  # numpy, scipy
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",  # macOS
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",  # in Rust: tokenizers
)
GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
NO_GPU = "-1"  # an empty value means all of them to some


def environment(resources: Resources) -> dict[str, str]:
    """The variables that a node's process has beside those of `graph run`. What the file names itself comes last."""
    made: dict[str, str] = {}
    if resources.threads is not None:
        made |= dict.fromkeys(THREAD_VARIABLES, str(resources.threads))
    if resources.gpus is not None:
        made |= dict.fromkeys(GPU_VARIABLES, ",".join(map(str, resources.gpus)) or NO_GPU)
    return made | dict(resources.env)


def needs_fresh_process(resources: Resources) -> bool:
    """True where the environment must stand before anything is imported."""
    return resources.threads is not None or resources.gpus is not None or bool(resources.env)


def working_directory(resources: Resources) -> str:
    """The folder that a process is to work in; empty: where `graph run` was started.

    :raises NodeError: it is none.
    """
    if resources.cwd is None:
        return ""
    folder = Path(resources.cwd).expanduser()
    if not folder.is_dir():
        raise NodeError(f"resources.cwd '{resources.cwd}': {'not a folder' if folder.exists() else 'no such folder'}")
    return str(folder.absolute())


def check_environment(variables: Mapping[str, str]) -> None:
    """:raises NodeError: the system takes no such variable."""
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise NodeError(f"resources.env {name!r}: neither a name with '=' nor a zero byte can be passed on")
