"""`hidden-context doctor`: what is installed, what is missing for which command, which devices."""

import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import ClassVar

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hidden_context import __version__
from hidden_context.commands.command_line import command
from hidden_context.commands.completion import Completion
from hidden_context.commands.printing import say_next, show

NAME = "hidden-context"
NEEDED_FOR = {
    "": "everything",
    "serve": "hidden-context serve",
    "relabel": "hidden-context relabel",
    "trl": "rewards in TRL's GRPO and RLOO",
    "bench": "make bench",
    "docs": "make docs",
    "dev": "make test",
}
"""By extra; the empty one is what every installation has."""


@dataclass(frozen=True)
class Config:
    """What is installed, in which version, what is missing for what, and where models run."""

    prints_numbers: ClassVar[bool] = True


@dataclass(frozen=True)
class Package:
    """One that is required by an extra, or by everything."""

    name: str
    wanted: str
    installed: str | None
    extra: str

    @property
    def is_missing(self) -> bool:
        """Not there, or of a version that was not asked for."""
        return self.installed is None or not Requirement(f"x{self.wanted}").specifier.contains(
            self.installed, prereleases=True
        )


def run(config: Config) -> int:
    """Print; the status is 1 if something is missing that everything needs."""
    packages, devices = list(required()), _devices()
    completion = Completion.of_user()
    show(
        lambda: {
            "hidden_context": __version__,
            "python": platform.python_version(),
            "devices": devices,
            "completion": completion,
            "packages": [asdict(each) | {"missing": each.is_missing} for each in packages],
        },
        lambda: "\n".join(_lines(packages, devices, completion)),
    )
    lacking = any(each.is_missing for each in packages if not each.extra)
    if not lacking:
        say_next("demo")
    return int(lacking)


def _lines(
    packages: list[Package], devices: list[str], completion: Completion | None
) -> Iterator[str]:
    yield f"hidden-context {__version__}, Python {platform.python_version()}, {sys.platform}"
    yield f"models run on: {', '.join(devices)}"
    for extra, use in NEEDED_FOR.items():
        yield _line(extra, use, [each for each in packages if each.extra == extra])
    if completion is not None:
        yield str(completion)


def required() -> Iterator[Package]:
    """Every package that the installed hidden-context asks for, by extra."""
    for line in metadata.requires(NAME) or ():
        requirement = Requirement(line)
        if canonicalize_name(requirement.name) == NAME:
            continue  # an extra that holds others
        extras = [name for name in NEEDED_FOR if _is_of(requirement, name)]
        if extras:
            found = _version(requirement.name)
            yield Package(requirement.name, str(requirement.specifier), found, extras[0])


def _is_of(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> list[str]:
    """As torch sees them, the one that is used first."""
    try:
        import torch
    except ImportError:
        return ["no device: torch is missing"]
    found = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    found += ["mps"] if torch.backends.mps.is_available() else []
    return [*found, f"cpu ({torch.get_num_threads()} threads)"]


def _line(extra: str, use: str, packages: list[Package]) -> str:
    missing = [each for each in packages if each.is_missing]
    if not missing:
        listed = ", ".join(f"{each.name} {each.installed}" for each in packages)
        return f"ok       {use}: {listed}"
    listed = ", ".join(
        f"{each.name}{each.wanted} ({each.installed or 'not installed'})" for each in missing
    )
    how = f'pip install "{NAME}[{extra}]"' if extra else f"pip install {NAME}"
    return f"missing  {use}: {listed}; {how}"


main = command("doctor", Config, run)

if __name__ == "__main__":
    raise SystemExit(main())
