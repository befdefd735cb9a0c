"""How `make docs` builds the site: Sphinx with MyST Markdown; every warning is an error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from framelens import __version__

if TYPE_CHECKING:
    from docutils.nodes import Element, TextElement
    from sphinx.application import Sphinx

project = "framelens"
author = "the framelens authors"
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxarg.ext",
]
source_suffix = {".md": "markdown"}

html_theme = "furo"
html_title = f"framelens {release}"
html_show_sphinx = False
html_show_copyright = False

# An indented block is a command or its output, not Python.
highlight_language = "none"
# Docstrings are written for people: `name` is code in them.
default_role = "code"
myst_heading_anchors = 3
# The domain of sphinx-argparse cannot be searched for any kind of name.
suppress_warnings = ["myst.domains"]

autodoc_default_options = {
    # pydantic's own, in every model.
    "exclude-members": "model_config, model_post_init",
}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_use_type_comments = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88


def _no_inline_type(
    _app: object, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Keep Napoleon from reading what stands before a colon as a type: all are annotated."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def _folder(app: Sphinx, _env: object, node: Element, shown: TextElement) -> TextElement | None:
    """A folder of the repository, which a page links to, has no page: its name is shown."""
    page = Path(app.srcdir, node.get("refdoc", ""))
    return shown if (page.parent / node.get("reftarget", "")).is_dir() else None


def setup(app: Sphinx) -> None:
    """Connect what this file adds to Sphinx; 400 comes before Napoleon."""
    app.connect("autodoc-process-docstring", _no_inline_type, priority=400)
    app.connect("missing-reference", _folder)
