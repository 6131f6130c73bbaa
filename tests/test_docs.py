"""The documentation tells the truth: its code runs, its lists are complete."""

import doctest
import importlib
import inspect
import re
import shlex
import shutil
from itertools import takewhile
from pathlib import Path

import click
import pytest

import snnbridge
from snnbridge.cli import REFUSED, VERBS, _run, cli
from snnbridge.templates import new_plugin

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"^(?:\$ |    )snnbridge ([a-z].*)\n((?:(?!\$ |```|    snnbridge |\n).*\n)*)", re.MULTILINE
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the fixtures in it, where the documentation's code may write.

    The plugin that ``snnbridge new-plugin mine`` makes can be imported.
    """
    new_plugin("mine", tmp_path / "mine")
    monkeypatch.syspath_prepend(tmp_path / "mine")
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures", ignore=lambda *_: ["make"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_of_python_in_the_documentation_runs(page, place):
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    shared: dict[str, object] = {}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), shared)


def commands(page):
    """Return the words of each command line of a page, and what it says that the program shows."""
    return [
        (list(takewhile(lambda word: word not in ("|", ">", "&&"), words)), shown)
        for line, shown in COMMAND.findall(page.read_text(encoding="utf-8"))
        for words in [shlex.split(line, comments=True)]
    ]


def parsed(words):
    """Parse a command line as the program does; an error if it has no such verb or option."""
    whole = click.Context(cli, info_name="snnbridge", **cli.context_settings)
    name, verb, rest = cli.resolve_command(whole, words)
    with pytest.MonkeyPatch.context() as patch:  # whether a file is there shows when it runs
        patch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)
        return verb.make_context(name, rest, parent=whole).params


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_is_one_that_the_program_takes_and_runs_where_its_files_ship(
    page, place, capsys
):
    for words, shown in commands(page):
        given = parsed(words)
        files = [given[name] for name in ("file", "src", "a", "b") if given.get(name)]
        if files and all(Path(name).exists() for name in files):
            assert _run(words) != REFUSED, words
            printed = capsys.readouterr().out
            assert not shown or shown.split() == printed.split()


def test_every_verb_is_shown_at_work_outside_of_its_own_page():
    shown = {words[0] for page in PAGES if page.name != "cli.md" for words, _ in commands(page)}
    assert set(VERBS) - shown == {"completion"}  # stands in a line of its own shell


def modules():
    names = [f"snnbridge.{p.stem}" for p in (ROOT / "snnbridge").glob("*.py")]
    packages = [f"snnbridge.{p.parent.name}" for p in (ROOT / "snnbridge").glob("*/__init__.py")]
    below = [
        f"snnbridge.{p.parent.name}.{p.stem}"
        for p in (ROOT / "snnbridge").glob("*/*.py")
        if p.stem != "__init__"
    ]
    skipped = {"snnbridge.__init__", "snnbridge.__main__"}
    return sorted({*names, *packages, *below} - skipped)


@pytest.mark.parametrize("name", modules())
def test_every_example_in_a_docstring_is_true(name, place):
    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0


def public():
    return [
        (name, value)
        for name in snnbridge.__all__
        if (inspect.isclass(value := getattr(snnbridge, name)) or inspect.isfunction(value))
    ]


@pytest.mark.parametrize(("name", "value"), public(), ids=[name for name, _ in public()])
def test_every_public_name_says_what_it_is(name, value):
    text = inspect.getdoc(value) or ""
    assert len(text.split()) >= 3, name
    if inspect.isfunction(value):
        for heading in ("Parameters", "Examples"):
            assert heading in text, f"{name} lacks {heading}"


def test_the_public_names_are_those_of_the_stub_and_sorted():
    assert snnbridge.__all__ == sorted(snnbridge.__all__)
    assert all(hasattr(snnbridge, name) for name in snnbridge.__all__)


def test_the_error_tree_in_the_docstring_is_the_tree_of_the_classes():
    from snnbridge import errors

    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    classes = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value is not errors.SNNBridgeError
    ]
    assert sorted(drawn) == sorted(classes)


def test_every_format_has_its_page_and_its_row():
    from snnbridge.registry import default

    table = (ROOT / "docs/formats/index.md").read_text(encoding="utf-8")
    for format in default():
        if format.read.__module__.startswith("snnbridge_plugins."):  # others may be installed
            assert (ROOT / "docs/formats" / f"{format.name}.md").exists(), format.name
            assert f"| [`{format.name}`]({format.name}.md) | `{format.suffixes[0]}`" in table


GENERATED = {
    "cli.md": "make_cli_page",
    "api.md": "make_api_page",
    "conformance.md": "make_contract_table",
}


@pytest.mark.parametrize(("page", "script"), GENERATED.items())
def test_a_page_that_a_script_writes_is_what_the_program_says(page, script, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    made = importlib.import_module(script).page()
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == made, f"run: docs/{script}.py"


def test_every_public_name_stands_on_the_page_of_the_api():
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    for name in snnbridge.__all__:
        if name != "__version__":
            assert re.search(rf"snnbridge\.{name}\b", text), name


def test_every_hook_stands_on_the_page_of_plugins():
    from snnbridge import hookspecs

    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("snnbridge_")]
    assert sorted(hooks) == sorted(re.findall(r"^\| `(snnbridge_\w+)`", text, re.MULTILINE))


def test_picture_and_table_of_the_floors_are_those_of_the_import_contract(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    drawing = importlib.import_module("make_architecture_picture")
    drawn = (ROOT / "docs/architecture.svg").read_text(encoding="utf-8")
    assert drawn == drawing.picture(), "run: docs/make_architecture_picture.py"
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    told = [sorted(re.findall(r"`(\w+)`", row)) for row in rows]
    assert told == [sorted(floor) for floor in drawing.floors()]


def test_the_readme_s_commands_name_files_that_ship():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"fixtures/[\w./-]+", text)
    assert named
    assert all((ROOT / name.rstrip(".")).exists() for name in named)
