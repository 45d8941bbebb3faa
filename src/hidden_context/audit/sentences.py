"""One plain sentence for each question, written from the numbers of one audited set."""

from collections.abc import Mapping, Sequence
from typing import Any

CANNOT_TELL = "cannot tell from these data"


def sentences(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Questions and answers, of a set as `audit.json` holds it."""
    families: Sequence[Mapping[str, Any]] = found["families"]
    scalar = families[0]
    answers = [
        ("Can these vectors predict who wins?", _predicts(scalar)),
    ]
    for each in families[1:]:
        name = each["family"]["name"]
        answers += [
            (f"Does {name} predict better than the scalar family?", _against_base(each)),
            (f"How much of the variance in utility do responses explain ({name})?", _r2(each)),
        ]
        if each.get("null"):
            answers.append((f"Would label noise alone look like this ({name})?", _null(each)))
        if each.get("undecided"):
            answers.append((f"Near-ties or noise ({name})?", _undecided(each)))
    answers.append(("Do probabilities mean what they say?", _calibrated(families)))
    if scalar["length"] is not None:
        answers.append(("Is it length?", _length(scalar)))
    if found.get("longer_is_unsafe"):
        answers.append(("Do jailbreaks win?", _jailbreaks(found)))
    if found.get("between"):
        answers.append((f"Does who judged explain it ({found['between']['by']})?", _between(found)))
    return [{"question": question, "answer": answer} for question, answer in answers]


def _predicts(scalar: Mapping[str, Any]) -> str:
    accuracy = scalar["accuracy"]
    if accuracy["low"] > 0.5:
        verdict = "Better than a coin"
    elif accuracy["high"] < 0.5:
        verdict = "Worse than a coin, so what was learned of some prompts misleads on others"
    else:
        verdict = f"{CANNOT_TELL.capitalize()}, so no other figure here means much"
    nats = _interval(scalar["log_likelihood"])
    return (
        f"{verdict}: the scalar family is right on {_interval(accuracy)} of the held-out votes, "
        f"with {nats} nats per vote (a coin: -0.693)."
    )


def _against_base(each: Mapping[str, Any]) -> str:
    name, found = each["family"]["name"], each["against_base"]
    ends = f"{found['low']:.4f} to {found['high']:.4f}"
    if found["low"] > 0:
        verdict = f"predicts held-out votes better than the scalar one by {found['value']:.4f}"
    elif found["high"] < 0:
        verdict = f"predicts held-out votes worse than the scalar one by {-found['value']:.4f}"
        ends = f"{-found['high']:.4f} to {-found['low']:.4f}"
    else:
        return (
            f"{CANNOT_TELL.capitalize()}: {name} differs from the scalar family by "
            f"{found['value']:+.4f} nats per vote ({found['low']:+.4f} to {found['high']:+.4f})."
        )
    return f"The family {name} {verdict} nats per vote ({ends})."


def _r2(each: Mapping[str, Any]) -> str:
    by_scale = {report["scale"]: report for report in each["explained_variance"]}
    text = (
        f"r² is {_interval(by_scale['pooled'])} over all responses, "
        f"{_interval(by_scale['within_prompt'])} within prompts and {_interval(by_scale['rank'])} "
        f"on the scale of ranks; stopped by {each['stopping_rule']}."
    )
    matched = {report["scale"]: report for report in each.get("matched_explained_variance", [])}
    if matched and matched["pooled"]["value"] != by_scale["pooled"]["value"]:
        size = matched["pooled"]["matched_size"]
        text += (
            f" With {size} training comparisons, as the smallest of the sets has: "
            f"{_interval(matched['pooled'])}, {_interval(matched['within_prompt'])} and "
            f"{_interval(matched['rank'])}."
        )
    return text


def _null(each: Mapping[str, Any]) -> str:
    by_figure = {record["figure"]: record for record in each["null"]}
    record = by_figure["r2_rank"]
    draws, observed, p_value = record["draws"], record["observed"], record["p_value"]
    mean = sum(draws) / len(draws)
    smallest = p_value <= 1 / (1 + len(draws)) + 1e-12
    verdict = (
        f"No: of {len(draws)} sets of labels redrawn from the scalar family none"
        if smallest
        else f"{CANNOT_TELL.capitalize()}: labels redrawn from the scalar family often"
    )
    if not smallest and p_value <= 0.1:
        verdict = "Hardly: labels redrawn from the scalar family seldom"
    return (
        f"{verdict} gave so low an r² on the scale of ranks ({observed:.3f}; redrawn "
        f"{mean:.3f}, from {min(draws):.3f} to {max(draws):.3f}; p = {p_value:.2f})."
    )


def _undecided(each: Mapping[str, Any]) -> str:
    found = each["undecided"]
    return (
        f"Of the comparisons {_interval(found['near_tie'])} are near-ties (the means are close) "
        f"and {_interval(found['noisy'])} noisy (the means are apart, but the spread is wide); "
        f"the rest are decided, P outside 0.4 to 0.6."
    )


def _calibrated(families: Sequence[Mapping[str, Any]]) -> str:
    listed = "; ".join(
        f"{each['family']['name']} {_interval(each['expected_calibration_error'])} and "
        f"{_interval(each['brier_score'])}"
        for each in families
    )
    return f"Expected calibration error and Brier score (a coin: 0.25): {listed}."


def _length(scalar: Mapping[str, Any]) -> str:
    length, accuracy = scalar["length"], scalar["accuracy"]
    return (
        f'"The longer response wins" is right on {_interval(length["longer_wins"])} of the votes, '
        f"the scalar family on {_interval(accuracy)}, and on "
        f"{_interval(length['without_length'])} once length is regressed out of it."
    )


def _jailbreaks(found: Mapping[str, Any]) -> str:
    listed = "; ".join(
        f"{each['family']['name']} by {_decider(rate['risk'])} {_interval(rate['rate'])}, and "
        f"{_interval(rate['without_length'])} once length is regressed out"
        for each in found["families"]
        for rate in each["jailbreaks"]
    )
    return (
        f"The unsafe response is preferred at these rates: {listed}. "
        f'"The longer response wins": {_interval(found["longer_is_unsafe"])}.'
    )


def _decider(risk: str) -> str:
    name, _, level = risk.partition(":")
    return f"the {level}-quantile" if level else f"the {name}"


def _between(found: Mapping[str, Any]) -> str:
    between = found["between"]
    gain, by = between["gain"], between["by"]
    nats = f"{gain['value']:+.4f} nats per vote ({gain['low']:+.4f} to {gain['high']:+.4f})"
    verdict = CANNOT_TELL.capitalize()
    if gain["low"] > 0:
        verdict = "It does"
    elif gain["high"] < 0:
        verdict = "Not so that it helps"
    text = (
        f"{verdict}: knowing which of {between['num_labels']} {by}s judged "
        f"({between['num_comparisons']} comparisons) changes the held-out likelihood by {nats}, "
        f"and {_interval(between['share'])} of the learned variance of a difference in utility "
        f"lies between them ({between['family']}). With their names shuffled it is "
        f"{_interval(between['shuffled'])}."
    )
    if between["num_labels_left_out"]:
        text += f" {between['num_labels_left_out']} further {by}s are too rare, and left out."
    return text


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
