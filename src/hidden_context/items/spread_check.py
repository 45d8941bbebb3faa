"""What learned spread gains, and how much of the gain is the tails of one link."""

from dataclasses import dataclass

LARGE_PART = 1 / 3
"""Share of the gain of spread from which tails count as its explanation. Where spread is real they
gained at most a fiftieth of it, where there is none all of it or more, of real votes half; it was
set after all of these had been seen."""


@dataclass(frozen=True)
class SpreadCheck:
    """What the likelihood gains over one spread for all items, by either of two ways.

    Gains are of log-likelihoods in nats over all votes, less the number of further parameters
    (Akaike 1973): above 0 where unseen votes, too, should be predicted better. Votes count as
    independent, so where a person votes often, gains look surer than they are.
    """

    spread_gain: float
    """Of a spread for each item."""
    tails_gain: float
    """Of one spread, and one link of free tails: any mixture of normal ones of several scales."""
    even_share: float
    """Share of comparisons that this link decides evenly whatever the items, as ties at random."""

    @property
    def explained_by_tails(self) -> bool:
        """Whether tails alone gain at least `LARGE_PART` of what spread does."""
        return self.tails_gain > 0 and self.tails_gain >= LARGE_PART * self.spread_gain

    @property
    def warning(self) -> str:
        """What to know of the learned spread before it is read as disagreement; may be empty."""
        if self.explained_by_tails:
            said = (
                "Tails of the link explain much or all of the learned spread: one spread for all "
                f"items and a link of heavier tails gain {self.tails_gain:.1f} nats over all "
                f"votes, a spread for each item {self.spread_gain:.1f} (each less its number of "
                "parameters). So items with more spread, and distances between means, are weak "
                "evidence of disagreement; the order of the means is as good as ever."
            )
            if self.even_share < 0.01:
                return said
            return (
                f"{said} By that link {self.even_share:.0%} of comparisons are even whatever the "
                "items: if they are ties at random, leave ties out."
            )
        if self.spread_gain <= 0:
            return (
                "The votes do not show that items differ in spread: a spread for each item gains "
                f"{self.spread_gain:.1f} nats over all votes, less its number of parameters."
            )
        return ""
