"""Asking the real frameworks: scripts in the environments of fixtures/make/environments.toml."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = Path(os.environ.get("SNNBRIDGE_ENVIRONMENTS") or ROOT / ".environments")
INSIDE = Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
LIVE = Path(__file__).with_name("live")


def python_of(name: str) -> Path:
    """Return the Python of an environment; skips the test where it was not made."""
    python = ENVIRONMENTS / name / INSIDE
    if not python.is_file():
        pytest.skip(f"no environment {name}")
    return python


def ask(environment: str, script: str, *arguments: str, folder: str | None = None) -> Any:
    """Run a script of tests/live, the environment's own packages before those of this one.

    Parameters
    ----------
    environment : str
    script : str
        Its name.
    arguments : str
    folder : str, optional
        Where it runs.

    Returns
    -------
    Any
        The JSON value that is its last line.
    """
    start = f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r}); "
    start += f"import runpy, sys; sys.argv = {['judge', *arguments]!r}; "
    start += f"sys.path.insert(0, {str(LIVE)!r}); "
    start += f"runpy.run_path({str(LIVE / script)!r}, run_name='__main__')"
    done = subprocess.run(
        [python_of(environment), "-W", "ignore", "-c", start],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
