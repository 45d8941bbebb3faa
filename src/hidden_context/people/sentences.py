"""What was found of people, and of one person, in sentences and tables of text."""

from typing import Any

import numpy as np
from scipy.stats import norm

from hidden_context.people.findings import PeopleFindings
from hidden_context.people.people import People
from hidden_context.people.person import Person
from hidden_context.sentences import on_lines
from hidden_context.text_tables import text_table

Z = float(norm.ppf(0.975))
"""Half the width of a 95 % interval, in standard deviations."""
LONGEST = 60
"""Characters of an item in a table."""


def shown(item: object) -> str:
    """An item on one line."""
    text = " ".join(str(item).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def item_shown(people: People, number: int) -> str:
    """One of their items on one line; of a text that is read with its prompt the end."""
    text = " ".join(str(people.items[number]).split())
    is_with_prompt = people.texts is not None and people.texts.reader.reads == "whole"
    if is_with_prompt and len(text) > LONGEST:
        text = f"…{text[1 - LONGEST :]}"
    return shown(text)


def answers(found: PeopleFindings) -> list[tuple[str, str]]:
    """Questions and answers: who differs, by how much, along what."""
    people, texts = found.people, found.people.texts
    what = "items" if texts is None else f"texts, by {texts.reader.name}"
    read = (
        f"{len(found.counts)} people made {found.counts.sum()} comparisons (median "
        f"{int(np.median(found.counts))} each) of {len(people.items)} {what}."
    )
    lines = [("What was read?", read), ("Do people differ?", _differ(found))]
    if found.shows_share:
        lines += [("By how much?", _how_much(found)), ("Along what?", _along(found))]
        lines.append(("Who?", _who(found)))
    if len(people.thresholds) > 1:
        low, middle, high = np.quantile(found.tie_habit, [0.1, 0.5, 0.9])
        lines.append(
            (
                "Who says “equally good”?",
                f"Of two responses that are even to her, the median person calls {middle:.2f} of "
                f"them a tie; a tenth of people at most {low:.2f}, a tenth {high:.2f} or more.",
            )
        )
    if found.agreement is not None:
        lines.append((f"Are they the groups of {found.column}?", _groups(found)))
    return lines


def _differ(found: PeopleFindings) -> str:
    people = found.people
    size, clusters = people.directions.shape[1], len(people.clusters)
    if found.verdict == "cannot tell" and found.is_of_items_compared_once:
        return once_compared(found)
    if not size:
        return _do_not_differ(people)
    where = f"in {size} direction{'s' * (size > 1)}"
    if clusters > 1:
        where += f", and in {clusters} clusters"
        if found.verdict != "cannot tell":
            shares = sorted(people.clusters.shares)[::-1]
            where += f" (shares {', '.join(f'{share:.2f}' for share in shares)})"
    if not found.held_out:
        return (
            f"The model lets them differ {where}; on people held out this was not tested here "
            "(no folds)."
        )
    start = {
        "yes": f"Yes, {where}.",
        "no": "Not so that few of a person's comparisons would help: the model, "
        f"{where}, predicts worse.",
        "cannot tell": f"These people cannot tell: the model lets them differ {where}, and nothing "
        "shows that this helps to predict somebody. Whether they differ in a feature that has a "
        "name, such as length, takes fewer votes to tell; axes asks that.",
    }[found.verdict]
    return f"{start} {what_is_learned(found)}"


def once_compared(found: PeopleFindings) -> str:
    """Why people whose responses were compared once cannot tell, and what to do first."""
    return (
        "These comparisons cannot tell; add --vectors words (or a reward model), so that utilities "
        f"follow from texts: {found.compared_once} of {len(found.people.items)} responses were "
        "compared once, and what somebody says of one tells nothing of the others."
    )


def what_is_learned(found: PeopleFindings) -> str:
    """By how much n comparisons of a person help, against none of hers, and the population."""
    last = found.held_out[-1]
    return (
        f"Knowing {last.number} of a person's comparisons lowers the loss of her others by "
        f"{last.learned.signed(4)} nats a vote against knowing none, and by {last.gain.signed(4)} "
        f"against a population in which nobody differs (95 % intervals over {last.num_people} "
        f"people).{_of_habit(found)}"
    )


def _of_habit(found: PeopleFindings) -> str:
    """How the first of these gains is shared by habits of ties and taste, if there are ties."""
    last = found.held_out[-1]
    if len(found.people.thresholds) < 2:
        return ""
    return (
        f" The first is shared out: what is learned of how often she says that both are as good "
        f"gains {last.habit.signed(4)}, what is learned of what she likes {last.taste.signed(4)}."
    )


def _do_not_differ(people: People) -> str:
    if not people.held_out:
        return "This was not tested: with num_directions 0 the model lets nobody differ."
    best = min(loss for size, loss in people.held_out.items() if size or len(people.held_out) == 1)
    return (
        "As far as held-out people tell, no: a model in which all have the same utilities predicts "
        f"half of what they said ({people.held_out[0]:.3f} nats a vote) as well as one in which "
        f"they differ does, which knows the other half ({best:.3f}), within one standard error."
    )


def _how_much(found: PeopleFindings) -> str:
    said = _of_a_verdict(found)
    caution = {
        "strongest": "people are drawn together, and the share may be too low.",
        "weakest": "people are hardly drawn together, and the share may be too high.",
    }.get(found.ridge_at_end)
    if caution is None:
        return said
    end = found.ridge_at_end
    return f"{said} The ridge, {found.people.ridge:g}, is the {end} that was tried: {caution}"


def _of_a_verdict(found: PeopleFindings) -> str:
    fitted, share = found.disagreement, found.share
    start = "Of the variance of a verdict on the pairs that were compared, "
    if share is None or share.low is None or share.high is None:
        return (
            f"{start}{fitted:.2f} is disagreement between people, and {1 - fitted:.2f} noise "
            "within a person (as fitted, without an interval)."
        )
    return (
        f"{start}{share.value:.2f} is disagreement between people (95 % interval {share.low:.2f} "
        f"to {share.high:.2f}), and the rest noise within a person. As fitted it is {fitted:.2f}; "
        f"how far that errs was found by {share.how}."
    )


def _along(found: PeopleFindings) -> str:
    parts = []
    for number, axis in enumerate(found.axes[:2], start=1):
        high, low = (
            ", ".join(f"“{item_shown(found.people, k)}”" for k in end) for end in axis.ends(2)
        )
        share = f"{axis.share:.2f} of the variance between people"
        parts.append(f"Axis {number} ({share}): {high} against {low}.")
    return " ".join(parts)


def _who(found: PeopleFindings) -> str:
    axis = found.axes[0]
    known = np.abs(axis.position) > Z * axis.std
    order = np.argsort(-np.abs(axis.position))[:3]
    names = ", ".join(
        f"{found.known.people[k]} ({axis.position[k]:+.1f} ± {Z * axis.std[k]:.1f})" for k in order
    )
    return (
        f"{known.sum()} of {len(known)} people are off the middle of axis 1: their 95 % intervals "
        f"do not hold it. Farthest, in standard deviations of people: {names}."
    )


def _groups(found: PeopleFindings) -> str:
    agreement = found.agreement
    assert agreement is not None
    how = "The clusters" if agreement.are_found else "No clusters were fitted; those of k-means"
    return (
        f"{how} agree with the {len(agreement.groups)} groups by an adjusted Rand index of "
        f"{agreement.adjusted_rand:.3f} (0 is chance, 1 the same groups; as high in a share of "
        f"{agreement.p_value:.3f} of permutations{agreement.of_so_few}) and an adjusted mutual "
        f"information of {agreement.adjusted_mutual_information:.3f}."
    )


def held_out_rows(found: PeopleFindings) -> list[tuple[str, ...]]:
    """n, loss, accuracy, what is learned, of habit and taste, and gain, with intervals."""
    return [
        (
            str(row.number),
            str(row.loss),
            str(row.accuracy),
            *(
                f"{of.value:z.4f} ({of.low:z.4f} to {of.high:z.4f})"
                for of in (row.learned, row.habit, row.taste, row.gain)
            ),
        )
        for row in found.held_out
    ]


HELD_OUT = (
    "n known",
    "loss, nats a vote",
    "accuracy",
    "better than knowing none by",
    "of it habit of ties",
    "of it taste",
    "better than the population by",
)


def render(found: PeopleFindings) -> str:
    """For a terminal."""
    parts = ["\n".join(on_lines(answers(found)))]
    if found.held_out:
        parts.append(text_table(held_out_rows(found), HELD_OUT))
    return "\n\n".join([*parts, *found.notes])


def person_to_dict(person: Person, number: int, counts: int) -> dict[str, Any]:
    """What is known of one of some people: her utilities, P(a ≻ b), and what is not known."""
    one = person.selected(np.array([number]))
    utility = one.utility[0]
    low, high = utility.quantile(0.025), utility.quantile(0.975)
    before = person.model.posterior_of_nobody()
    _, known = one.coordinates
    _, unknown = before.coordinates
    directions = person.model.directions
    slopes = directions - directions.sum(0) / max(len(directions), 1)  # texts have no items
    left = np.einsum("ir,rs,is->", slopes, known[0], slopes)
    whole = np.einsum("ir,rs,is->", slopes, unknown[0], slopes)
    return {
        "person": str(one.people[0]),
        "comparisons": counts,
        "share_not_known": float(left / whole) if whole > 0 else None,
        "tie_habit": float((one.threshold_probs @ np.tanh(person.model.thresholds / 2))[0]),
        "cluster_probs": one.cluster_probs[0].tolist(),
        "items": [str(item) for item in person.model.items],
        "utility": {
            "mean": np.asarray(utility.mean).tolist(),
            "low": np.asarray(low).tolist(),
            "high": np.asarray(high).tolist(),
        },
        "prob_matrix": one.prob_matrix()[0].tolist(),
        "disagreement": one.disagreement()[0].tolist(),
    }


def render_person(answer: dict[str, Any]) -> str:
    """For a terminal: her items, best first, and how sure each stands above the next."""
    mean, low, high = (np.array(answer["utility"][name]) for name in ("mean", "low", "high"))
    order, prob = np.argsort(-mean), np.array(answer["prob_matrix"])
    rows = []
    for place, item in enumerate(order):
        following = order[place + 1] if place + 1 < len(order) else None
        above = "" if following is None else f"{prob[item, following]:.2f}"
        name = shown(answer["items"][item])
        rows.append((name, f"{mean[item]:.2f} ({low[item]:.2f} to {high[item]:.2f})", above))
    unknown = answer["share_not_known"]
    of_her = "" if unknown is None else f" Of what people differ by, {unknown:.2f} is not known."
    head = (
        f"{answer['person']}: {answer['comparisons']} comparisons.{of_her} She calls "
        f"{answer['tie_habit']:.2f} of even pairs a tie."
    )
    if not rows:
        return f"{head} Her utilities follow from texts: best-of --people --person ranks some."
    headers = ("item", "utility (95 %)", "P(above the next)")
    return f"{head}\n\n{text_table(rows, headers)}"
