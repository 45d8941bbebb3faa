"""A number with its interval: the one type for everything that is measured."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Estimate:
    """A statistic of the data as they are, with an interval where there is one."""

    value: float
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end."""
    how: str = ""
    """How the interval was made, in words."""
    level: float = 0.95
    """Nominal coverage."""

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def signed(self, digits: int = 3) -> str:
        """As a difference is shown: with signs, the interval behind it."""
        shown = f"{self.value:+.{digits}f}"
        if self.low is None or self.high is None:
            return shown
        return f"{shown} ({self.low:+.{digits}f} to {self.high:+.{digits}f})"

    def against(self, reference: float) -> Literal["above", "below", "cannot tell"]:
        """Where the interval lies; one that holds the reference, or is missing, cannot tell."""
        if self.low is not None and self.low > reference:
            return "above"
        if self.high is not None and self.high < reference:
            return "below"
        return "cannot tell"

    def verdict(self, above: str, below: str, cannot_tell: str, *, reference: float = 0.0) -> str:
        """One of three sentences, by where the interval lies; see `against`."""
        said = {"above": above, "below": below, "cannot tell": cannot_tell}
        return said[self.against(reference)]


@dataclass(frozen=True)
class Rate(Estimate):
    """How often one reward is higher than another: `value` counts an exact tie half."""

    published: float = 0.0
    """With exact ties counted in full, as the published code does."""
    ties: int = 0
    """Exact ties; of several trainings those of all, as `published` counts them."""
    n: int = 0
    """Comparisons."""
