"""Writes docs/api.md: every public name, in groups; the tests check that none is missing."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import snnbridge

PAGE = Path(__file__).with_name("api.md")
GROUPS = {
    "Read, write, convert": (
        "read write convert Conversion check_file FileCheck differences Difference features Ledger "
        "Entry Status ORDER"
    ),
    "Simulate and verify": "simulate Simulator Simulation verify Verification engine",
    "The model": (
        "SNNCheckpoint Connection Parameter Quantity StateVariable Origin SourceInfo UNKNOWN "
        "PER_STEP"
    ),
    "Layers": (
        "Layer Linear Conv1d Conv2d SumPool AvgPool MaxPool Flatten Scale BatchNorm Delay Synapse "
        "SynapseRule Neuron NeuronRule Subgraph Opaque Input Output"
    ),
    "Formats and plugins": (
        "Format Feature EVERYTHING Option Options Probe Registry NeuronKind hookimpl"
    ),
}
#: Public modules.
MODULES = (
    "document", "express", "express.demands", "model", "pytree", "rewrites", "rules", "simulator",
    "simulator.engines", "simulator.graph_shapes", "spec", "node_trees", "storage", "storage.hdf5",
    "templates", "testing", "transfer", "wire",
)  # fmt: skip
#: Modules that run beside a framework, and which of their functions are shown: what is not shown
#: of those on PyTorch is the same as of the first.
BESIDE = {
    "snntorch": "build, checkpoint_of, export", "norse": "", "rockpool": "", "sinabs": "build",
    "spikingjelly": "", "brainpy": "build, checkpoint_of, export",
    "spyx": "build, checkpoint_of, export",
}  # fmt: skip
#: Modules with names that others have, too: what links to such a name means the other one.
NOT_LINKED = ("pytree", "simulator.engines", "storage.hdf5", "transfer")
HEAD = """# API

This page is written by `python docs/make_api_page.py`. The names of the first sections are imported
from `snnbridge` itself; each is loaded when it is first used.
"""
BESIDE_HEAD = """
## Beside a framework

Each module here has the same three functions: `export` saves a live net with all that the
framework's own file leaves out, `checkpoint_of` returns it as a checkpoint, and `build` makes a
live net of a checkpoint of any framework. The framework is imported when one of them is called.

"""


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for title, names in groups().items():
        parts.append(f"\n## {title}\n\n" + "".join(_directive(name) for name in names))
    parts.append(BESIDE_HEAD + "".join(_beside(*item) for item in BESIDE.items()))
    parts.append("\n## Modules\n\n" + "".join(_module(name) for name in MODULES))
    return "".join(parts)


def groups() -> dict[str, list[str]]:
    """Return the names of each section; errors are all that are public."""
    found = {title: names.split() for title, names in GROUPS.items()}
    errors = [name for name in snnbridge.__all__ if _is_error(name)]
    return found | {"Errors": sorted(errors, key=lambda name: name != "SNNBridgeError")}


def _is_error(name: str) -> bool:
    value = getattr(snnbridge, name)
    return inspect.isclass(value) and issubclass(value, Exception)


def _directive(name: str) -> str:
    value = getattr(snnbridge, name)
    if inspect.isclass(value):
        members = "" if _is_error(name) else "   :members:\n"
        return _block(f".. autoclass:: snnbridge.{name}\n{members}")
    kind = "autofunction" if inspect.isroutine(value) else "autodata"
    return _block(f".. {kind}:: snnbridge.{name}\n")


def _module(name: str) -> str:
    module = importlib.import_module(f"snnbridge.{name}")
    shown = {id(getattr(snnbridge, x)) for names in groups().values() for x in names}
    again = sorted(x for x in getattr(module, "__all__", ()) if id(getattr(module, x)) in shown)
    excluded = f"   :exclude-members: {', '.join(again)}\n" if again else ""
    index = "   :no-index:\n" if name in NOT_LINKED else ""
    inherited = "   :inherited-members: Exception, tuple\n" if name == "storage" else ""
    return f"### `snnbridge.{name}`\n\n" + _block(
        f".. automodule:: snnbridge.{name}\n   :members:\n{inherited}{excluded}{index}"
    )


def _beside(name: str, members: str) -> str:
    shown = f"   :members: {members}\n" if members else ""
    rest = "functions" if not members else "other functions"
    same = "" if "export" in members else f"Its {rest} are those of snnTorch's module.\n\n"
    module = f".. automodule:: snnbridge.frameworks.{name}\n{shown}"
    return f"### `snnbridge.frameworks.{name}`\n\n{_block(module)}{same}"


def _block(text: str) -> str:
    return f"```{{eval-rst}}\n{text}```\n\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
