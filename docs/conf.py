"""The site of the documentation. Its source is the whole repository, so that links are the same here and on a host."""

import inspect
import re
from typing import Any

from refsr_bench import __version__

project = "refsr-bench"
author = "refsr-bench contributors"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_click"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/**/*.md",
    "docs/**/*.ipynb",
    "data_cards/*.md",
    "benchmarks/README.md",
    "c2matching/weights/MODEL_CARD.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]

myst_heading_anchors = 3  # links to headings are written as a host of repositories writes them
nb_execution_mode = "off"  # tests/docs runs the notebook; the page shows what is stored in it

html_theme = "furo"  # its fonts are the system's and its script is its own, so that a page needs no network
html_title = f"refsr-bench {release}"
html_static_path: list[str] = []

autodoc_typehints = "signature"
autodoc_member_order = "bysource"


def _code_as_code(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Mark the indented lines of a docstring as code; they would become quotations."""
    for number in reversed(range(1, len(lines))):
        begins = lines[number].startswith("    ") and not lines[number - 1].strip()
        if begins and (number < 2 or not lines[number - 2].startswith("    ")):
            lines[number:number] = [".. code-block:: python", ""]


def _arguments_stand_out(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Print the names of arguments in bold where a docstring explains them (``name: ...``)."""
    try:
        names = "|".join(map(re.escape, inspect.signature(found).parameters))
    except (TypeError, ValueError):  # no signature
        return
    if names:
        explained = re.compile(rf"(?<![\w`.*])({names})(?=(?:, (?:{names}))*:(?: |$))")
        lines[:] = [line if line.startswith(" ") else explained.sub(r"**\1**", line) for line in lines]


def _as_in_a_terminal(app: Any, context: Any, lines: list[str]) -> None:
    """Keep the stars of a help text, which is no reStructuredText, from beginning an emphasis."""
    lines[:] = [line if line.lstrip().startswith((":", "..")) else line.replace("*", "\\*") for line in lines]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _code_as_code)
    app.connect("autodoc-process-docstring", _arguments_stand_out)
    for part in ("description", "options"):
        app.connect(f"sphinx-click-process-{part}", _as_in_a_terminal)
