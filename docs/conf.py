"""The site: `make docs`. Pages are those of this folder; links that leave it become their words."""

import contextlib
import io
import os
import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import hidden_context
from hidden_context.commands.cli import COMMANDS, main

project = "hidden-context"
author = "The hidden-context developers"
copyright = author  # noqa: A001
version = release = hidden_context.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
suppress_warnings = ["ref.python"]  # a word in backticks may be two members
html_theme = "furo"
html_title = "hidden-context"
html_show_sphinx = False
html_copy_source = False
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}

OUTSIDE = re.compile(
    r"\[([^\]]+)\]\(\.\./(?:src|examples|benchmarks|tests|README|CHANGELOG)[^)]*\)"
)


def without_links_outside(_: Sphinx, __: str, source: list[str]) -> None:
    """Leave the words of links to files that are no pages."""
    source[0] = OUTSIDE.sub(r"\1", source[0])


class Commands(SphinxDirective):
    """A section for each command, from its `Config`."""

    def run(self) -> list[Any]:
        return self.parse_text_to_nodes(
            "\n\n".join(map(command_page, COMMANDS.items())), allow_section_headings=True
        )


def command_page(named: tuple[str, str]) -> str:
    """What a command does, and its help, as Markdown."""
    name, what = named
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main([name, "--help"])
    return f"## {name}\n\n{what[0].upper()}{what[1:]}.\n\n```text\n{shown.getvalue()}```"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    os.environ["COLUMNS"] = "92"  # of the help
    app.connect("source-read", without_links_outside)
    app.add_directive("commands", Commands)
