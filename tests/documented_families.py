"""The families of docs/extending.md; as a pytest plugin, it adds them to `FAMILIES`.

`PYTHONPATH=tests python -m pytest -p documented_families` runs every test that goes by this list
for them too.
"""

import re
import sys
from pathlib import Path
from types import ModuleType

from hidden_context.distributions import FAMILIES, Family

DOCUMENT = Path(__file__).parents[1] / "docs" / "extending.md"


def documented_programs() -> dict[str, str]:
    """Source of each family in the document, by the family's name."""
    programs = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    return {re.findall(r"Family `(\w+)`", program)[0]: program for program in programs}


def documented_family(name: str) -> type[Family]:
    """The class of a program, run as a module of its own, so that its objects can be pickled."""
    module = sys.modules[name] = ModuleType(name)
    exec(compile(documented_programs()[name], f"{DOCUMENT}:{name}", "exec"), module.__dict__)
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Family) and value is not Family
    )
    return found


def pytest_configure() -> None:
    """Before collection, which is when tests and modules read `FAMILIES`."""
    for name in documented_programs():
        FAMILIES[name] = documented_family(name)
