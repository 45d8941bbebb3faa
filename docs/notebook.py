"""The tutorial as a notebook: `python docs/notebook.py` writes examples/tutorial.ipynb."""

import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "tutorial.md"
NOTEBOOK = DOCS.parent / "examples" / "tutorial.ipynb"


def cells_of(page: str) -> list[dict[str, Any]]:
    """Text and programs of a page, in their order."""
    cells = []
    for number, part in enumerate(re.split(r"```python\n(.*?)```\n?", page, flags=re.DOTALL)):
        lines = part.strip().splitlines(keepends=True)
        kind = "code" if number % 2 else "markdown"
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines}
        cells.append(cell | ({"execution_count": None, "outputs": []} if number % 2 else {}))
    return cells


def notebook() -> str:
    """The file, as nbformat 4.5."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "cells": cells_of(PAGE.read_text(encoding="utf-8")),
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(), encoding="utf-8")
