"""`python -m graph.launchers.leave RUN_DIR INSTANCE`: the last act of a program whose supervisor is gone.

The run's folder goes with the last of its nodes, and who is the last is told by locks that not every language has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from graph.rundir import RunDir

if __name__ == "__main__":
    RunDir(Path(sys.argv[1])).leave(sys.argv[2])
