"""How `make docs` builds the site: Sphinx with MyST Markdown; every warning is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens import __version__

if TYPE_CHECKING:
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
myst_enable_extensions = ["html_image"]
# Links that are no files are looked up here; sphinx-argparse's domain answers with errors.
myst_ref_domains = ["std", "py"]
# A folder of the repository has no page; tests/docs looks whether it is there.
nitpick_ignore_regex = [("myst", r"(\.\./)+[\w/-]+")]

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


def setup(app: Sphinx) -> None:
    """Connect what this file adds to Sphinx; 400 comes before Napoleon."""
    app.connect("autodoc-process-docstring", _no_inline_type, priority=400)
