"""The library opens no connection, starts no program, and unpickles nothing."""

import ast
import json
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for folder in ("snnbridge", "plugins") for path in (ROOT / folder).rglob("*.py")
)
FORBIDDEN = {
    "asyncio", "ctypes", "ftplib", "http", "marshal", "multiprocessing", "pickle", "requests",
    "shelve", "smtplib", "socket", "socketserver", "ssl", "subprocess", "urllib", "webbrowser",
    "xmlrpc",
}  # fmt: skip
#: The conformance kit tries damaged files in a child process.
ALLOWED = {("snnbridge/testing/bounded.py", "multiprocessing")}


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def test_no_module_imports_what_reaches_a_network_or_starts_a_program():
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in SOURCES
        for name in imports(ast.parse(path.read_text(encoding="utf-8")))
        if name in FORBIDDEN
    }
    assert len(SOURCES) > 100
    assert found == ALLOWED


def test_no_module_runs_text_as_a_program():
    found = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for name in calls(ast.parse(path.read_text(encoding="utf-8")))
        if name in {"eval", "exec", "compile", "__import__"}
    }
    assert found == set()


WATCHED = textwrap.dedent("""
    import sys
    sys.path.insert(0, sys.argv[1])

    def refuse(event, arguments):
        if event.startswith(("socket.", "subprocess.", "urllib.", "ftplib.", "http.")) or event in {
            "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pickle.find_class",
            "os.startfile", "webbrowser.open", "ctypes.dlopen",
        }:
            print(event, arguments[:2])
            sys.exit(1)

    from snnbridge.registry import default
    from crashes.scenarios import NEW, SUFFIXES
    formats = [default().get(name) for name in SUFFIXES]
    sys.addaudithook(refuse)

    from snnbridge import check_file, convert, read, write
    for name, suffix in SUFFIXES.items():
        path = f"{sys.argv[2]}/net{suffix}"
        write(NEW, path, format=name)
        read(path, format=name)
        check_file(path, format=name)
        convert(path, f"{sys.argv[2]}/copy.h5", from_=name, force=True)
    print("done")
""")


def test_reading_and_writing_opens_no_socket_and_starts_no_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["done"], done.stdout + done.stderr


def test_every_dependency_has_a_lowest_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in (*project["project"]["dependencies"], *project["build-system"]["requires"]):
        assert ">=" in requirement


def test_the_list_of_parts_names_every_dependency_with_version_and_digest(tmp_path):
    out = tmp_path / "sbom.json"
    subprocess.run([sys.executable, ROOT / ".ci/sbom.py", out], check=True)
    found = json.loads(out.read_text(encoding="utf-8"))
    names = {part["name"] for part in found["components"]}
    assert found["bomFormat"] == "CycloneDX"
    assert {"numpy", "pluggy", "click", "rich"} <= names
    assert all(part["version"] and part["properties"] for part in found["components"])
