"""The tutorial from end to end: scripts in the frameworks, commands, and what they show."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import beside

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"BrainPy": "brainpy-2.8", "snnTorch": "torch"}
BLOCK = re.compile(
    r"^```\{code-block\} python\n:caption: (?P<file>[\w.]+), where (?P<framework>\w+) .*\n"
    r"(?P<script>[\s\S]*?)^```\n\n```\{code-block\} text\n(?P<printed>[\s\S]*?)^```$"
    r"|^```console\n\$ snnbridge (?P<command>.*)\n(?P<shown>[\s\S]*?)^```$",
    re.MULTILINE,
)

pytestmark = pytest.mark.live


def shape_of(text):
    """Return a text but for its numbers, which another processor may round otherwise."""
    words = re.sub(r"-?\d[\d.]*(e-?\d+)?", "N", text).split()
    return [word for word in words if set(word) != {"─"}]


def run(arguments, place):
    done = subprocess.run(
        arguments, cwd=place, capture_output=True, text=True, encoding="utf-8", check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode in (0, 1, 3), done.stderr
    return done.stdout


def in_framework(framework, file, script, place):
    """Run a script where a framework is; its own packages come before those of this place."""
    python = beside.python_of(FRAMEWORKS[framework])
    (place / file).write_text(script, encoding="utf-8")
    start = f"import site, runpy; site.addsitedir({sysconfig.get_paths()['purelib']!r}); "
    start += f"runpy.run_path({file!r}, run_name='__main__')"
    return run([python, "-W", "ignore", "-c", start], place)


def test_every_script_and_command_of_the_tutorial_shows_what_it_says(tmp_path):
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) == text.count("```console") + text.count(":caption:")
    for block in blocks:
        if block["command"]:
            command = [sys.executable, "-m", "snnbridge", *shlex.split(block["command"])]
            found, expected = run(command, tmp_path), block["shown"]
        else:
            of = (block["framework"], block["file"], block["script"])
            found, expected = in_framework(*of, tmp_path), block["printed"]
        assert shape_of(found) == shape_of(expected), block[0]
