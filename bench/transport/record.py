"""The results as JSON: every run of every round, with the versions and the machine they were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.transport.arms.base import ROOT, Arm
from bench.transport.cells import Cell
from bench.transport.figures import Figure, Results, Run
from bench.transport.targets import judged

FORMAT = 1
FIGURES: tuple[Figure, ...] = ("p50_us", "p99_us", "per_second", "lossless_per_second", "lost", "cpu_us", "memory_mb")


def as_json(results: Results, arms: Iterable[Arm], missing: dict[str, str], left_out: Iterable[Cell]) -> dict[str, Any]:
    """What is written; `summary` and `targets` follow from `runs` and spare a reader the arithmetic."""
    return {
        "format": FORMAT,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": {arm.name: arm.versions for arm in arms if arm.name not in missing},
        "missing": missing,
        "left_out": [cell.name for cell in left_out],
        "targets": [
            {"target": target.text, "bound": target.bound, "verdict": verdict, "ratio": asdict(ratio) if ratio else None}
            for target, verdict, ratio in judged(results)
        ],
        "summary": list(_summary(results)),
        "runs": [asdict(run) for run in results.runs],
    }


def load(file: Path) -> tuple[Results, dict[str, str]]:
    """The runs and the missing arms of an earlier run."""
    read = json.loads(file.read_text())
    if read.get("format") != FORMAT:
        raise ValueError(f"{file} is not a result of this bench (format {read.get('format')}, expected {FORMAT})")
    return Results(Run(**{**run, "cell": Cell(**run["cell"])}) for run in read["runs"]), read["missing"]


def _summary(results: Results) -> Iterable[dict[str, Any]]:
    for cell in results.cells:
        for arm in results.arms:
            if results.of(arm, cell):
                spreads = {figure: results.spread(arm, cell, figure) for figure in FIGURES}
                yield {"cell": cell.name, "arm": arm, **{f: asdict(s) if s else None for f, s in spreads.items()}}


def _commit() -> str:
    """Of the checkout that was measured, "-dirty" when something in it was changed; empty where there is no git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1min": os.getloadavg()[0],
    }


def _processor() -> str:
    """What the kernel calls it; platform.processor() is empty on most Linux systems."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
