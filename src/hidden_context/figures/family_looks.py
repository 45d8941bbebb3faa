"""One colour, marker and line for each family, the same in every figure."""

from dataclasses import dataclass

from hidden_context.distributions import FAMILIES
from hidden_context.figures.style import BLUE, GREEN, GREY, OCHRE, ORANGE, PURPLE, SKY


@dataclass(frozen=True)
class Look:
    """What tells a family from others, by colour and without it."""

    color: str
    marker: str
    line: str


COLORS = (GREY, BLUE, ORANGE, GREEN, PURPLE, OCHRE, SKY)
LINES = (":", "-", "--", "-.", ":", "-", "--")
LOOKS = tuple(map(Look, COLORS * 2, "oos^DvPX*ph<>8", LINES * 2))
"""Families beyond the seventh have markers of their own in colours that others have."""


def look_of(family: str) -> Look:
    """By the family's place in `FAMILIES`.

    Of a numbered run (`categorical (2)`) its family's colour, with a marker and a line of its own.
    """
    names = list(FAMILIES)
    name, _, number = family.partition(" ")
    if name not in names:
        return LOOKS[-1]
    look = LOOKS[names.index(name) % len(LOOKS)]
    further = int(number.strip("()")) - 1 if number.strip("()").isdecimal() else 0
    other = LOOKS[(names.index(name) + 5 * further) % len(LOOKS)]
    return Look(look.color, other.marker, other.line)
