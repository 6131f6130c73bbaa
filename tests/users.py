"""Nets as users of each framework write and save them, converted for every other framework."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import pairs
from snnbridge import read

JUDGE = Path(__file__).with_name("live") / "judge_users.py"
KINDS = ("mlp", "conv", "recurrent")
SUFFIXES = (".bp", ".pt", ".msgpack")


def save(framework: str, folder: Path) -> None:
    """Have a framework make, run and save its nets."""
    start = f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r}); "
    start += f"import runpy, sys; sys.argv = {['judge', framework, str(folder)]!r}; "
    start += f"sys.path.insert(0, {str(JUDGE.parent)!r}); "
    start += f"runpy.run_path({str(JUDGE)!r}, run_name='__main__')"
    done = subprocess.run(
        [pairs.environment(framework), "-W", "ignore", "-c", start],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])


def cases(framework: str, folder: Path) -> Iterator[pairs.Case]:
    """Read what a framework saved."""
    for kind in KINDS:
        file = next((f for f in folder.glob(f"{kind}.*") if f.suffix in SUFFIXES), None)
        if file is None:
            continue
        with np.load(folder / f"{kind}.npz") as run:
            yield pairs.Case(framework, kind, kind, read(file), run["input"], run["output"], file)
