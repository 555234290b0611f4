"""Configure the documentation site: MyST pages, the notebooks, and a reference generated from the code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # for the extension options.py in this folder

import podtask
from sphinx.application import Sphinx

project = "podtask"
author = "The podtask developers"
copyright = "The podtask developers"  # noqa: A001  # Sphinx wants the name
release = podtask.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "options"]
exclude_patterns = ["_build", "notebooks/executed"]
html_theme = "furo"
html_title = f"podtask {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["copy.js"]

# Sphinx executes each notebook on this machine when it reads it. Notebooks that need a cluster have no outputs.
nb_custom_formats = {".ipynb": ["executed.executed", {}, False]}
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"
# The types of IPython and of the Kubernetes client have no pages on this site.
nitpicky = False


def _set_caption_levels(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    # Sphinx gives the captions of a table of contents role="heading" without the level that the role requires.
    for part in ("furo_navigation_tree", "body"):
        if part in context:  # a page without a source, such as the search, has no body
            context[part] = context[part].replace('role="heading">', 'role="heading" aria-level="2">')


def setup(app: Sphinx) -> None:
    """Register what is changed on each page."""
    app.connect("html-page-context", _set_caption_levels, priority=900)  # after the theme has set the tree
