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


LOOKS = (
    Look(GREY, "o", (":")),
    Look(BLUE, "o", "-"),
    Look(ORANGE, "s", "--"),
    Look(GREEN, "^", "-."),
    Look(PURPLE, "D", (":")),
    Look(OCHRE, "v", "-"),
    Look(SKY, "P", "--"),
)
LOOKS += tuple(
    Look(look.color, marker, look.line) for look, marker in zip(LOOKS, "X*ph<>8", strict=True)
)
"""Of families beyond the seventh too, by markers of their own in colours that others have."""


def look_of(family: str) -> Look:
    """By the family's place in `FAMILIES`; of a numbered run (`categorical (2)`) its family's."""
    names = list(FAMILIES)
    name = family.split(" ")[0]
    return LOOKS[names.index(name) % len(LOOKS)] if name in names else LOOKS[-1]
