"""The power that no test of sides can have more of, in the worlds of `planted_judges.py`.

python tests/judging/most_power.py

A judge draws a vote from group A or B. Held against it are all judges that follow everybody, from a
mean of their votes to what most say, of any strength, and any normal law of what groups think: of
such a test by likelihoods the noncentrality is twice the pairs times the least Kullback-Leibler
divergence of what is seen (Wilks 1938). The least that is found may be more than the least there
is, so this is an upper bound. Printed are the power at .05 of that test, of the one that knows the
law, and of the likelihood ratio of the copy against a vote drawn from all, with the votes seen and
with all utilities known (one-sided). What came out is in docs/judges.md.
"""

import numpy as np
from planted_judges import NUM_PAIRS, NUM_PEOPLE, OF_A_PERSON, STRENGTH, VOTES_A_PAIR
from scipy.optimize import minimize
from scipy.special import comb, expit, ndtr
from scipy.stats import hypergeom

CORRELATION = 0.3
LEVEL = 0.05
BOTH_ENDS = 1.96
STARTS = ((-0.2, -3.0), (-2.0, -1.0), (-4.0, -0.6))
"""Logs of how much a follower says of the mean, and of the majority."""
LEAST = 1e-15


def nodes(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the standard normal, with weights."""
    x, weight = np.polynomial.hermite_e.hermegauss(number)
    return x, weight / weight.sum()


X, WEIGHT = nodes(31)
FIRST, SECOND = (of.ravel() for of in np.meshgrid(X, X, indexing="ij"))
PROB = np.outer(WEIGHT, WEIGHT).ravel()


def law(first: float, second: float, correlation: float) -> np.ndarray:
    """P(a vote is for the first) in each group, at each node, `(2, nodes)`."""
    apart = correlation * FIRST + (1 - correlation**2) ** 0.5 * SECOND
    person, weight = nodes(15)
    utilities = first * FIRST, second * apart
    return np.stack([expit(of[:, None] + OF_A_PERSON * person) @ weight for of in utilities])


def seen(probs: np.ndarray, share: float, said: np.ndarray) -> np.ndarray:
    """P of all that is seen of a pair: votes of each group, and what the judge says."""
    found = []
    for of_a in range(VOTES_A_PAIR + 1):
        drawn = hypergeom.pmf(of_a, NUM_PEOPLE, round(share * NUM_PEOPLE), VOTES_A_PAIR)
        of_b = VOTES_A_PAIR - of_a
        for a in range(of_a + 1):
            for b in range(of_b + 1):
                likely = comb(of_a, a) * probs[0] ** a * (1 - probs[0]) ** (of_a - a)
                likely = likely * comb(of_b, b) * probs[1] ** b * (1 - probs[1]) ** (of_b - b)
                found += [drawn * (PROB * likely * of).sum() for of in (said, 1 - said)]
    return np.array(found)


def divergence(of: np.ndarray, other: np.ndarray) -> float:
    """Kullback and Leibler's, in nats a pair."""
    return float((of * np.log(np.maximum(of, LEAST) / np.maximum(other, LEAST))).sum())


def against_followers(share: float, group: int, *, is_law_known: bool) -> float:
    """Power against the follower that is hardest to tell from a copy of the group."""
    copied = law(STRENGTH, STRENGTH, CORRELATION)
    copy = seen(copied, share, copied[group])

    def least(at: np.ndarray) -> float:
        strengths = np.exp(at[:2]) / max(1.0, np.exp(at[:2]).sum())
        probs = copied if is_law_known else law(np.exp(at[2]), np.exp(at[3]), np.tanh(at[4]))
        mean = np.array([share, 1 - share]) @ (2 * probs - 1)
        said = (1 + strengths @ np.stack([mean, np.sign(mean)])) / 2
        return divergence(copy, seen(probs, share, said))

    options = {"xatol": 1e-3, "fatol": 1e-8, "maxiter": 400}
    rest = [] if is_law_known else [np.log(STRENGTH)] * 2 + [CORRELATION]
    found = [
        minimize(least, [*start, *rest], method="Nelder-Mead", options=options).fun
        for start in STARTS
    ]
    return float(ndtr(np.sqrt(2 * NUM_PAIRS * min(found)) - BOTH_ENDS))


def of_likelihood_ratio(share: float, group: int, rng: np.random.Generator) -> tuple[float, float]:
    """Power of copy against follower: with votes seen, and with utilities known."""
    probs = law(STRENGTH, STRENGTH, CORRELATION)
    own, all_ = probs[group], np.array([share, 1 - share]) @ probs
    copy, follower = seen(probs, share, own), seen(probs, share, all_)
    ratio = np.log(np.maximum(copy, LEAST) / np.maximum(follower, LEAST))
    by_copy, by_follower = (
        rng.multinomial(NUM_PAIRS, of / of.sum(), 20_000) @ ratio for of in (copy, follower)
    )
    at = rng.choice(len(PROB), p=PROB, size=(4_000, NUM_PAIRS))
    first, second = np.log(own / all_)[at], np.log((1 - own) / (1 - all_))[at]
    known = [np.where(rng.random(at.shape) < of[at], first, second).sum(1) for of in (own, all_)]
    seen_power, known_power = (
        float((of_copy > np.quantile(of_follower, 1 - LEVEL)).mean())
        for of_copy, of_follower in ((by_copy, by_follower), known)
    )
    return seen_power, known_power


if __name__ == "__main__":
    for share in (0.5, 0.6, 0.8):
        for group in (0, 1):
            rng = np.random.default_rng(0)
            free, known = (against_followers(share, group, is_law_known=of) for of in (False, True))
            votes, utilities = of_likelihood_ratio(share, group, rng)
            print(
                f"{share:.1f}  one vote of {'AB'[group]}  any follower, any law {free:.3f}, this "
                f"law {known:.3f}; a vote of all: votes seen {votes:.3f}, utilities known "
                f"{utilities:.3f}",
                flush=True,
            )
