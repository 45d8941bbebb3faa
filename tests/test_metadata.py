"""What an index of packages is told of this one."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSIONS = "Programming Language :: Python :: 3."


def test_the_page_of_the_package_has_no_link_that_leads_nowhere():
    """Beside it there are no files."""
    page = (ROOT / "README.md").read_text()
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    assert hook["fragments"] == [{"path": "README.md"}]
    assert re.search(r"\]\(docs/", page)
    for one in hook["substitutions"]:
        page = re.sub(one["pattern"], one["replacement"], page)
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert "guide" in page  # the words of a link stay


def test_who_made_it_for_which_python_under_which_licence():
    project = PROJECT["project"]
    for field in ("description", "license", "license-files", "authors", "urls", "keywords"):
        assert project[field], field
    python = SpecifierSet(project["requires-python"])
    named = [one.removeprefix(VERSIONS) for one in project["classifiers"] if VERSIONS in one]
    assert named
    assert all(python.contains(f"3.{minor}") for minor in named)
    assert not python.contains(f"3.{min(map(int, named)) - 1}")


@pytest.mark.parametrize("extra", ["serve", "trl", "relabel"])
def test_every_extra_that_the_start_names_is_there(extra: str):
    assert f"`{extra}`" in (ROOT / "docs" / "start.md").read_text()
    requirements = PROJECT["project"]["optional-dependencies"][extra]
    assert all(Requirement(each).specifier for each in requirements)
