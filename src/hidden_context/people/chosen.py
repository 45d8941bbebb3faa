"""`fit_people`: a distribution over people, whose structure held-out people choose."""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.errors import UserError
from hidden_context.people.ballots import Ballots
from hidden_context.people.fit import ROUGH, fit
from hidden_context.people.people import People
from hidden_context.people.source import Source

logger = logging.getLogger(__name__)

DIRECTIONS = (1, 2, 4, 8, 16)
"""Numbers of directions that are tried."""
CLUSTERS = (1, 2, 4)
"""Numbers of clusters that are tried."""
RIDGES = (0.3, 3.0, 30.0, 300.0)
"""Of the weights of texts' vectors, which are 1 long on average; see `Design`."""
ENOUGH = 2
"""Larger structures in a row that are no better, after which none is tried."""
PARTS = 5
"""Of people, of which one is held out at a time."""
MOST_NEEDED = 20
"""Held-out people: if one part has fewer, others are held out too, until there are so many."""
FEWEST = 3
"""People to fit to."""
PROMPTS_HELD_OUT = 1 / 3
"""Share of prompts, where there are vectors of texts and `FEWEST_PROMPTS`."""
FEWEST_PROMPTS = 6


def fit_people(
    votes: Any,
    *,
    vectors: str | Path | None = None,
    num_directions: int | None = None,
    num_clusters: int | None = None,
    ridge: float | None = None,
    items: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> People:
    """Fit a distribution over people.

    What is not given is chosen by how well half of the comparisons of held-out people are predicted
    given their other half (where there are vectors and enough prompts, those of held-out prompts
    given the others): the least that predicts as well as the best does, within one standard error
    of the difference, over people. The tables are `People.held_out` and `held_out_clusters`.

    Args:
        votes: `Ballots`, or what `read_ballots` reads: comparisons with annotators.
        vectors: None if each response is an item with utilities of its own. Else utilities are
            linear in vectors of texts, so that those of new texts are known too: `words` for hashed
            counts of words, or a reward model (a checkpoint or its name on the hub), whose head
            reads them.
        num_directions: r, in how many directions people may differ: 0, or one of `DIRECTIONS`.
        num_clusters: C, of how many normals the distribution over people is a mixture.
        ridge: Of the weights of vectors: one of `RIDGES`.
        items: What items are called, if not only those that are compared.
        seed: Of the start, and of who and what is held out.

    Raises:
        UserError: The votes cannot be read, or there are too few people or items.
    """
    source = Source.read(votes, vectors, items)
    number, width = len(source.ballots.items), source.most_directions
    if len(source.ballots) < 2 or number < 2:
        raise UserError(
            f"{len(source.ballots)} people compared {number} items; a distribution over people "
            "takes two or more of both."
        )
    if num_directions is not None and not 0 <= num_directions <= width:
        raise UserError(
            f"num_directions is {num_directions}; {number} items have 0 to {width}."
            if source.vectors is None
            else f"num_directions is {num_directions}; these vectors of texts have 0 to {width}."
        )
    if num_clusters is not None and not 1 <= num_clusters <= len(source.ballots):
        raise UserError(f"num_clusters is {num_clusters}; give 1 to {len(source.ballots)}.")
    split = cache(partial(_Split.of, source, seed))
    if source.vectors is not None and ridge is None:
        losses = split().losses(RIDGES, lambda value: {"ridge": value, "num_directions": 0})
        ridge = min(losses, key=lambda value: losses[value].sum())
    chosen: dict[str, Any] = {"ridge": ridge}
    held_out: dict[str, Any] = {}
    losses: dict[Any, np.ndarray] = {}
    if num_directions is None:
        tried = sorted({0, *(min(each, split().most_directions) for each in DIRECTIONS)})
        losses = split().losses(tried, lambda r: {**chosen, "num_directions": r})
        num_directions, held_out["held_out"] = split().fewest(losses)
    chosen["num_directions"] = num_directions
    if num_clusters is None:
        num_clusters = 1
        if num_directions and held_out:  # whoever gives the directions wants no choice made
            tried = [each for each in CLUSTERS if each <= split().most_clusters]
            losses = split().losses(
                tried, lambda c: {**chosen, "num_clusters": c}, {1: losses[num_directions]}
            )
            num_clusters, held_out["held_out_clusters"] = split().fewest(losses)
    return replace(fit(source, **chosen, num_clusters=num_clusters, seed=seed), **held_out)


@dataclass(frozen=True, eq=False)
class _Part:
    """Some people to fit to, and of others what is given and what is asked."""

    rest: Source
    held: Ballots
    given: Ballots
    votes: np.ndarray
    """That are asked of each held-out person, shape `(V,)`."""

    @classmethod
    def of(cls, source: Source, out: np.ndarray, rng: np.random.Generator) -> "_Part":
        """With these people held out, by their numbers."""
        ballots = source.ballots
        is_held = np.isin(np.arange(len(ballots)), out)
        rest, held = ballots.selected(~is_held), ballots.selected(is_held)
        asked = rng.random(held.weight.shape) >= 0.5
        prompts = np.arange(0 if ballots.prompts is None else ballots.prompts.max() + 1)
        if source.vectors is not None and len(prompts) >= FEWEST_PROMPTS:
            is_out = rng.permutation(prompts) < round(PROMPTS_HELD_OUT * len(prompts))
            asked = is_out[held.prompts]
            rest = rest.kept(~is_out[rest.prompts])
            rest = rest.selected((rest.weight > 0).sum(1) > 0)
        given = replace(held, weight=held.weight * ~asked)
        return cls(replace(source, ballots=rest), held, given, (held.weight * asked).sum(1))

    def losses(self, settings: dict[str, Any], seed: int) -> np.ndarray:
        """Nats of what is asked of each held-out person given the rest of hers."""
        model = fit(self.rest, **settings, seed=seed, tolerance=ROUGH)
        return model.log_evidence(self.given) - model.log_evidence(self.held)


@dataclass(frozen=True, eq=False)
class _Split:
    """People in parts, of which one is held out at a time."""

    parts: Sequence[_Part]
    seed: int

    @classmethod
    def of(cls, source: Source, seed: int) -> "_Split":
        rng, people = np.random.default_rng(seed), len(source.ballots)
        number = min(PARTS, ceil(MOST_NEEDED * PARTS / people))
        held = np.array_split(rng.permutation(people), PARTS)[:number]
        parts = [_Part.of(source, out, rng) for out in held if len(out)]
        votes = sum(part.votes.sum() for part in parts)
        if min(len(part.rest.ballots) for part in parts) < FEWEST or not votes:
            raise UserError(
                f"{people} people who made comparisons are too few to hold some out; give "
                "num_directions."
            )
        return cls(parts, seed)

    @property
    def most_directions(self) -> int:
        """In which fewer people than all could differ: k points span k − 1."""
        sizes = [min(part.rest.most_directions, len(part.rest.ballots) - 1) for part in self.parts]
        return min(sizes)

    @property
    def most_clusters(self) -> int:
        """Of two people each, at least."""
        return min(len(part.rest.ballots) for part in self.parts) // 2

    def losses(
        self,
        values: Sequence[Any],
        settings: Callable[[Any], dict[str, Any]],
        known: Mapping[Any, np.ndarray] | None = None,
    ) -> dict[Any, np.ndarray]:
        """Nats of what is asked of each held-out person given the rest of hers, by value."""
        losses: dict[Any, np.ndarray] = dict(known or {})
        for value in (each for each in values if each not in losses):
            sums = [float(of.sum()) for of in losses.values()]
            if len(sums) > ENOUGH and min(sums[-ENOUGH:]) > min(sums):
                break
            of_parts = [part.losses(settings(value), self.seed) for part in self.parts]
            losses[value] = np.concatenate(of_parts)
            of_vote = losses[value].sum() / self.votes
            logger.info("held-out loss %.4f with %s", of_vote, settings(value))
        return losses

    @property
    def votes(self) -> float:
        """That are asked of all held-out people."""
        return float(sum(part.votes.sum() for part in self.parts))

    def fewest(self, losses: dict[int, np.ndarray]) -> tuple[int, dict[int, float]]:
        """The least number that is as good as the best, and the loss of each per vote."""
        per_vote = {each: float(of.sum()) / self.votes for each, of in losses.items()}
        best = losses[min(per_vote, key=lambda each: per_vote[each])]
        return min(each for each, of in losses.items() if _as_good(of - best)), per_vote


def _as_good(excess: np.ndarray) -> bool:
    """Whether people's excess losses are 0 by one standard error (Breiman and others 1984).

    Nearer to the best than by an interval: of few people, who made very different numbers of
    comparisons, an interval holds nearly everything.
    """
    error = excess.std(ddof=min(1, len(excess) - 1)) / len(excess) ** 0.5
    return bool(excess.mean() <= error)
