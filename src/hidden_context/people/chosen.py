"""`fit_people`: a distribution over people, whose structure held-out people choose."""

import logging
from collections.abc import Hashable, Mapping, Sequence
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
from hidden_context.progress import progress_bar

logger = logging.getLogger(__name__)

DIRECTIONS = (1, 2, 4, 8, 16)
"""Numbers of directions that are tried."""
CLUSTERS = (1, 2, 4)
"""Numbers of clusters that are tried."""
RIDGES = (0.3, 3.0, 30.0, 300.0)
"""Of the weights of texts' vectors, which are 1 long on average; see `Design`."""
DEFAULT = 1.0
"""Ridge of the directions of items at which their number is chosen."""
RIDGES_OF_ITEMS = (0.3, 1.0, 3.0, 10.0)
"""Of the directions of items: deviations of 1.8 to .3, in units of the noise."""
WORTH = 1e-3
"""Nats per vote for which directions of items are drawn nearer to 0: drawn nearer for less, they
would only make intervals too narrow."""
NEGLIGIBLE = 1e-4
"""Nats per vote that no structure is chosen for: fits end about so near to their best."""
ENOUGH = 2
"""Larger structures in a row that are no better, after which none is tried."""
PEOPLE_OF_A_CLUSTER = 10
"""On average, at least: each has a mean and a covariance of its own."""
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
    progress: bool = False,
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
        num_directions: r, in how many directions people may differ: 0, or one of `DIRECTIONS`. If
            it is given, nothing else is chosen but the ridge.
        num_clusters: C, of how many normals the distribution over people is a mixture; 1 where
            the directions are given.
        ridge: Of directions of items, or of all weights of vectors. Of items it is `DEFAULT` where
            too few people are there to hold some out.
        items: What items are called, if not only those that are compared.
        seed: Of the start, and of who and what is held out.
        progress: Show how far it is.

    Raises:
        UserError: The votes cannot be read, or there are too few people or items.
    """
    source = Source.read(votes, vectors, items)
    check_structure(source, num_directions, num_clusters)
    given = {"num_directions": num_directions, "num_clusters": num_clusters, "ridge": ridge}
    settings, held_out = _choose(source, given, seed, progress)
    return replace(fit(source, **settings, seed=seed), **held_out)


def most_fits(source: Source, num_directions: int | None) -> int:
    """To choose what is not given; a fit to fewer people counts as one to all."""
    number = len(RIDGES_OF_ITEMS if source.vectors is None else RIDGES)
    if source.vectors is not None and num_directions != 0:
        number += len(RIDGES)
    if num_directions is None:
        most = min(source.most_directions, len(source.ballots) - 2)
        tried = {0, *(min(each, most) for each in DIRECTIONS)}
        number += len(tried) * (1 if source.vectors is None else 2) + len(CLUSTERS) - 1
    return number * _number_of_parts(len(source.ballots))


def _number_of_parts(people: int) -> int:
    return min(PARTS, ceil(MOST_NEEDED * PARTS / people))


def check_structure(
    source: Source, num_directions: int | None, num_clusters: int | None = None
) -> None:
    """Refuse a structure that these people and items cannot have.

    Raises:
        UserError: There are too few of them, or the numbers are not possible.
    """
    people, number, width = len(source.ballots), len(source.ballots.items), source.most_directions
    if people < 2 or number < 2:
        raise UserError(
            f"{people} people compared {number} items; a distribution over people takes two or "
            "more of both."
        )
    if num_directions is not None and not 0 <= num_directions <= width:
        what = f"{number} items" if source.vectors is None else "these vectors of texts"
        raise UserError(f"num_directions is {num_directions}; {what} have 0 to {width}.")
    if num_clusters is not None and not 1 <= num_clusters <= people:
        raise UserError(f"num_clusters is {num_clusters}; give 1 to {people}.")


def _choose(
    source: Source, given: Mapping[str, Any], seed: int, progress: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `fit` takes, and the losses by which it was chosen; what is given stays.

    Whoever gives the directions wants no choice made but that of the ridge, of which no value fits
    all.
    """
    split = cache(partial(_Split.of, source, seed, progress))
    settings, is_of_texts = dict(given), source.vectors is not None
    held_out: dict[str, Any] = {}
    if given["ridge"] is None:
        settings["ridge"] = DEFAULT
        if is_of_texts:
            without = {"num_directions": 0, "num_clusters": 1}
            of_ridges = split().losses("ridge", RIDGES, without)
            settings["ridge"] = min(of_ridges, key=lambda value: of_ridges[value].sum())
    if given["num_clusters"] is None:
        settings["num_clusters"] = 1
    known: dict[Any, np.ndarray] = {}
    if given["num_directions"] is None:
        losses = _by_directions(split(), settings, again=given["ridge"] is None and is_of_texts)
        settings["num_directions"], held_out["held_out"] = split().fewest(losses)
        known = {settings["ridge"]: losses[settings["num_directions"]]}
    elif given["num_directions"] and given["ridge"] is None and is_of_texts:
        settings["ridge"] = _ridge_again(split(), settings, {})
    if not settings["num_directions"]:
        return settings, held_out
    if given["ridge"] is None and source.vectors is None and _can_be_held_out(source):
        known = split().losses("ridge", RIDGES_OF_ITEMS, settings, known)
        settings["ridge"] = split().least(known)
    if given["num_clusters"] is None and held_out:
        tried = [each for each in CLUSTERS if each <= split().most_clusters]
        losses = split().losses("num_clusters", tried, settings, {1: known[settings["ridge"]]})
        settings["num_clusters"], held_out["held_out_clusters"] = split().fewest(losses)
    return settings, held_out


def _by_directions(
    split: "_Split", settings: dict[str, Any], *, again: bool
) -> dict[int, np.ndarray]:
    """Losses by number of directions; if `again`, at the ridge that is best with directions.

    The ridge of texts was chosen where nobody differs, for what everybody likes. What people differ
    in may be drawn less, or more: the ridge is chosen again with the directions that were found (or
    one), and the numbers are tried again at it. That nobody differs keeps its own ridge. Sets the
    ridge in `settings`, which is that of nobody if nothing is better than it.
    """
    tried = sorted({0, *(min(each, split.most_directions) for each in DIRECTIONS)})
    losses, of_nobody = split.losses("num_directions", tried, settings), settings["ridge"]
    if not again or split.most_directions < 1:
        return losses
    found = split.fewest(losses)[0] or 1
    size = {**settings, "num_directions": found}
    ridge = _ridge_again(split, size, {of_nobody: losses[found]})
    if ridge == of_nobody:
        return losses
    anew = split.losses("num_directions", tried, {**settings, "ridge": ridge}, {0: losses[0]})
    if split.fewest(anew)[0]:
        settings["ridge"] = ridge
    return anew


def _ridge_again(
    split: "_Split", settings: dict[str, Any], known: dict[float, np.ndarray]
) -> float:
    """The best ridge of weights of texts with directions, tried from the one at hand on."""
    start = settings["ridge"]
    order = sorted(RIDGES, key=lambda value: abs(np.log(value / start)))
    losses = split.losses("ridge", order, settings, known)
    return min(losses, key=lambda value: losses[value].sum())


def _can_be_held_out(source: Source) -> bool:
    people = len(source.ballots)
    return people - ceil(people / PARTS) >= FEWEST


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
    progress: bool = False

    @classmethod
    def of(cls, source: Source, seed: int, progress: bool = False) -> "_Split":
        rng, people = np.random.default_rng(seed), len(source.ballots)
        held = np.array_split(rng.permutation(people), PARTS)[: _number_of_parts(people)]
        parts = [_Part.of(source, out, rng) for out in held if len(out)]
        votes = sum(part.votes.sum() for part in parts)
        if min(len(part.rest.ballots) for part in parts) < FEWEST or not votes:
            raise UserError(
                f"{people} people who made comparisons are too few to hold some out; give "
                "num_directions."
            )
        return cls(parts, seed, progress)

    @property
    def most_directions(self) -> int:
        """In which fewer people than all could differ: k points span k − 1."""
        sizes = [min(part.rest.most_directions, len(part.rest.ballots) - 1) for part in self.parts]
        return min(sizes)

    @property
    def most_clusters(self) -> int:
        """That people to fit to are enough for."""
        fewest = min(len(part.rest.ballots) for part in self.parts)
        return max(1, fewest // PEOPLE_OF_A_CLUSTER)

    def losses(
        self,
        name: str,
        values: Sequence[Any],
        settings: Mapping[str, Any],
        known: Mapping[Any, np.ndarray] | None = None,
    ) -> dict[Any, np.ndarray]:
        """Nats of what is asked of each held-out person given the rest of hers, by value.

        Args:
            name: Which of the settings of `fit` is tried.
            values: What for.
            settings: The others.
            known: Losses that are at hand.
        """
        losses: dict[Any, np.ndarray] = dict(known or {})
        wanted = [each for each in values if each not in losses]
        what = f"comparing {name.replace('_', ' of ').replace('num', 'numbers')} on held-out people"
        total, shown = len(wanted) * len(self.parts), self.progress
        with progress_bar(total, f"{what}, at most", unit="fit", shown=shown, leave=False) as bar:
            for value in wanted:
                sums = [float(of.sum()) for of in losses.values()]
                if len(sums) > ENOUGH and min(sums[-ENOUGH:]) > min(sums):
                    break
                tried = {**settings, name: value}
                of_parts = []
                for part in self.parts:
                    of_parts.append(part.losses(tried, self.seed))
                    bar.update()
                losses[value] = np.concatenate(of_parts)
                of_vote = losses[value].sum() / self.votes
                said = ", ".join(f"{name} {setting:g}" for name, setting in tried.items())
                logger.info("held-out loss %.4f nats a vote: %s", of_vote, said)
        return losses

    @property
    def votes(self) -> float:
        """That are asked of all held-out people."""
        return float(sum(part.votes.sum() for part in self.parts))

    def fewest(self, losses: dict[int, np.ndarray]) -> tuple[int, dict[int, float]]:
        """The least number that is as good as the best, and the loss of each per vote."""
        per_vote = {each: float(of.sum()) / self.votes for each, of in losses.items()}
        best = losses[min(per_vote, key=lambda each: per_vote[each])]
        fewest = min(
            each
            for each, of in losses.items()
            if _as_good(of - best) or (of - best).sum() < NEGLIGIBLE * self.votes
        )
        return fewest, per_vote

    def least(self, losses: Mapping[float, np.ndarray]) -> float:
        """The least ridge that costs less than `WORTH` against the best."""
        sums = {ridge: float(of.sum()) for ridge, of in losses.items()}
        most = min(sums.values()) + WORTH * self.votes
        return min(ridge for ridge, loss in sums.items() if loss < most)


def _as_good(excess: np.ndarray) -> bool:
    """Whether people's excess losses are 0 by one standard error (Breiman and others 1984).

    Nearer to the best than by an interval: of few people, who made very different numbers of
    comparisons, an interval holds nearly everything.
    """
    error = excess.std(ddof=min(1, len(excess) - 1)) / len(excess) ** 0.5
    return bool(excess.mean() <= error)
