"""`Overlap`: how much of what was scored is of prompts that the model was trained on."""

from dataclasses import dataclass

UNKNOWN = (
    "Nothing records which prompts the model was trained on, so it cannot be known whether these "
    "figures are held-out."
)


@dataclass(frozen=True)
class Overlap:
    """How many of the rows and prompts that were scored are of prompts trained on."""

    rows: int
    of_rows: int
    prompts: int
    of_prompts: int

    @property
    def is_none(self) -> bool:
        """Whether all that was scored is held out."""
        return self.rows == 0


def in_words(overlap: Overlap | None, rows: str = "comparisons") -> str:
    """Whether figures are held-out, in one sentence; `rows` is what the rows are called."""
    if overlap is None:
        return UNKNOWN
    if overlap.is_none:
        return (
            f"None of the {overlap.of_rows} {rows} is of a prompt that the model was trained on: "
            "the figures are held-out."
        )
    return (
        f"{overlap.rows} of {overlap.of_rows} {rows} are of prompts that the model was trained on "
        f"({overlap.prompts} of {overlap.of_prompts} prompts): the figures are not held-out."
    )
