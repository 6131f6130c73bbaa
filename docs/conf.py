"""Sphinx: MyST pages, furo, warnings are errors (``sphinx-build -W -n``)."""

from importlib.metadata import version as _version

project = "snnbridge"
author = "The snnbridge developers"
copyright = "2026, the snnbridge developers"
release = version = _version("snnbridge")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "none"  # the docstrings say more than the annotations
autodoc_member_order = "bysource"
nitpick_ignore_regex = [("py:.*", r"(?!snnbridge\.).*")]  # types of other packages, words of prose
nitpick_ignore = [("py:class", "snnbridge.simulator.network.Node")]  # shown, but not linked to
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "snnbridge"
exclude_patterns = ["_build"]
