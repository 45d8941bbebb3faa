"""README.md of a checkpoint: what it was trained on, what its outputs mean, and how good it is."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.distributions import Family, family_from_dict
from hidden_context.hub import is_hub_name
from hidden_context.measures.rates import wilson

SETTINGS = (
    "learning_rate",
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "use_peft",
    "seed",
)
"""What of a run's configuration the card repeats."""
DATA = ("datasets", "data_path", "split", "data_subset", "dataset_config", "train_dataset_size")
MEANINGS = {
    "eval_accuracy": "accuracy of the mean (a tie counts half)",
    "eval_nll": "negative log-likelihood, nats a vote",
    "eval_r2": "r², share of the variance of utility that the response explains",
    "eval_loss": "loss",
}
"""Measures by their name in a record, those of a set without a name."""


def model_card(record: Mapping[str, Any], *, is_adapter: bool, risk: str | None = None) -> str:
    """The card of a checkpoint with this record, or of its export to the one reward `risk`."""
    family = family_from_dict(record["family"])
    parts = [
        _metadata(record, is_adapter=is_adapter),
        _opening(record, family, risk),
        _use(record, family, is_adapter=is_adapter, risk=risk),
        _training(record, family),
        _metrics(record),
        LIMITS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(record: Mapping[str, Any], *, is_adapter: bool) -> str:
    lines = ["pipeline_tag: text-classification"]
    if is_adapter:
        lines.append("library_name: peft")
    else:
        lines.append("library_name: transformers")
    if "backbone" not in record and _is_on_hub(record["model_name"]):
        lines.append(f"base_model: {record['model_name']}")
    data = record.get("config", {}).get("data_path")
    if isinstance(data, str) and is_hub_name(data) and not Path(data).exists():
        lines += ["datasets:", f"- {data}"]
    tags = ("reward-model", "distributional-preference-learning", "hidden-context")
    lines += ["tags:", *(f"- {tag}" for tag in tags)]
    return "\n".join(["---", *lines, "---"])


def _is_on_hub(name: str) -> bool:
    return is_hub_name(name) and not Path(name).exists()


def _opening(record: Mapping[str, Any], family: Family, risk: str | None) -> str:
    made = f"made from {record['model_name']}"
    if risk is not None:
        return (
            f"# Reward model: one number, {risk}\n\n"
            f"A text in, one reward out, more being better: the `{risk}` of the utility that a "
            f"distributional reward model of family `{family.name}` gives each response. It was "
            f"{made}. It is the raw number, not a probability; only differences between responses "
            "to one prompt mean something."
        )
    outputs = ", ".join(f"`{name}`" for name in family.output_names)
    return (
        f"# Reward model of family `{family.name}`\n\n"
        "It gives each response a distribution of utility over what the data do not show: who "
        f"judged, by which objective, in which mood ([distributional preference learning]"
        f"(https://arxiv.org/abs/2312.08358)). It was {made}. Its outputs are {outputs}; they are "
        "raw, and only the family says what they mean."
    )


def _use(record: Mapping[str, Any], family: Family, *, is_adapter: bool, risk: str | None) -> str:
    if risk is not None:
        return (
            "## Use\n\n```python\nfrom transformers import pipeline\n\n"
            'reward = pipeline("text-classification", model=FOLDER)\n'
            'print(reward("Human: bread? Assistant: mix flour")[0]["score"])\n```\n\n'
            "The texts must be given as in training: " + _rendering(record) + "."
        )
    lines = [
        "## Use\n",
        "```python",
        "import hidden_context as hc",
        "",
        "model = hc.RewardModel.from_pretrained(FOLDER)",
        'utility = model.score(["How do I bake bread? "], ["Mix flour."])',
        "print(utility.mean, utility.std, utility.quantile(0.01))",
        "```\n",
        f"Texts are read as in training: {_rendering(record)}.",
    ]
    loader = f"Auto{'Peft' * is_adapter}ModelForSequenceClassification"
    width = family.num_outputs
    lines.append(
        f"Without hidden-context, `{loader}.from_pretrained(FOLDER, num_labels={width})` gives the "
        f"raw outputs{_where_the_mean_is(family)}."
    )
    if is_adapter and "backbone" in record:
        lines[-1] = (
            f"The backbone is a local model, {record['model_name']}; give its folder "
            "(`model_name`). Without hidden-context, put the adapter on it by "
            f"`PeftModel.from_pretrained(backbone, FOLDER)`, the backbone having "
            f"num_labels={width}{_where_the_mean_is(family)}."
        )
    if width > 1 or is_adapter:
        lines.append(
            "A `pipeline` would answer with the largest output, which is no reward, so a local "
            "folder is refused there (an adapter that is fetched from the hub is not, nor by "
            "transformers 4). `hidden-context export` makes a model of the mean alone, where that "
            "is possible."
        )
    return "\n".join(lines)


def _where_the_mean_is(family: Family) -> str:
    if family.num_outputs == 1:
        return ", the reward"
    if "mean" in family.output_names:
        return f", of which output {family.output_names.index('mean')} is the mean"
    return "; none of them is the mean"


def _rendering(record: Mapping[str, Any]) -> str:
    reading = record.get("reading") or {}
    if reading.get("render") == "chat":
        return "as conversations, through the tokenizer's chat template"
    return "the response directly after the prompt, without a template"


def _training(record: Mapping[str, Any], family: Family) -> str:
    options = {name: value for name, value in family.to_dict().items() if name != "name"}
    config = record.get("config") or {}
    rows = [("family", family.name), *((f"family: {name}", options[name]) for name in options)]
    outcome = record.get("outcome_model") or {}
    rows += [(f"outcomes: {name}", value) for name, value in outcome.items()]
    rows += [(f"data: {name}", config[name]) for name in DATA if config.get(name)]
    for name, counts in (record.get("counts") or {}).items():
        numbers = ", ".join(f"{what.replace('_', ' ')} {number}" for what, number in counts.items())
        rows.append((f"{name} set", numbers))
    rows += [(name, config[name]) for name in SETTINGS if name in config]
    if record.get("made_anew"):
        rows.append(("weights made anew", ", ".join(record["made_anew"])))
    return "## Training\n\n" + _table(("", ""), rows)


def _metrics(record: Mapping[str, Any]) -> str:
    rows = list(_measured(record.get("metrics") or {}, record.get("counts") or {}))
    if not rows:
        return "## Measures\n\nIt was not measured on held-out comparisons when it was trained."
    return (
        "## Measures\n\nOn comparisons that it was not trained on. Intervals are Wilson's at 95 %, "
        "for independent comparisons of equal weight.\n\n" + _table(("set", "measure", ""), rows)
    )


def _measured(
    metrics: Mapping[str, float], counts: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[str, str, str]]:
    for name in (each for each in counts if each != "train"):
        prefix = "eval_" if name == "test" else f"eval_{name}_"
        for measure, meaning in MEANINGS.items():
            value = metrics.get(prefix + measure.removeprefix("eval_"))
            if value is None:
                continue
            shown = f"{value:.3f}"
            number = counts[name].get("comparisons", 0)
            if measure == "eval_accuracy" and number > 1 and not counts[name].get("rankings"):
                shown = str(wilson(_with_mean(value, number), np.arange(number)))
            yield name, meaning, f"{shown} (n = {number})"


def _with_mean(rate: float, number: int) -> np.ndarray:
    """So many outcomes of 0 and 1, and perhaps one between, with this mean."""
    return np.clip(rate * number - np.arange(number), 0.0, 1.0)


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


LIMITS = """## Intended use

Ranking and scoring responses to prompts like those of the training data, finding where people
disagree, and rewards for optimisation that avoid what some of them mind (`risk=`).

## Limits

- Utility has no unit and no zero: compare responses to one prompt, or anchor it first.
- What it says of disagreement is what the comparisons show of it. Without repeated votes of the
  same people it cannot tell disagreement from carelessness, and it does not know who disagrees.
- It repeats the preferences and prejudices of those who compared, and may reward length.
- It was not made to decide on what may be said or done, and is not a safety filter.
- Beyond the prompts it was trained on, and under hard optimisation, its numbers mean less."""
