"""Answers of `pipeline("text-classification")` for a reward model of several outputs.

This file is copied into the model's folder. A pipeline without it would answer with the largest
output, whatever that means. With `trust_remote_code=True` it answers with the mean of the utility,
where one output of the head is the mean, and says so where none is. The whole distribution comes
from `hidden_context.RewardModel.from_pretrained(folder).score(...)`; a model of one output, the
mean, from `hidden-context export FOLDER --to scalar`. A folder with adapter_config.json has no
weights of its own backbone: `hidden-context merge` adds them.
"""

from typing import Any

from transformers import TextClassificationPipeline

MEAN = "mean"
"""Label of the output that is the mean."""


class MeanOfUtility(TextClassificationPipeline):
    """The mean of the utility of each text, as it is."""

    def postprocess(self, model_outputs: Any, **_: Any) -> Any:  # pyrefly: ignore (none of these)
        """Label and score.

        Raises:
            ValueError: No output of this model is the mean.
        """
        labels = dict(self.model.config.id2label or {})
        column = next((number for number, label in labels.items() if label == MEAN), None)
        if column is None:
            raise ValueError(
                "no output of this model is the mean of utility; read its distribution with "
                "hidden_context.RewardModel.from_pretrained"
            )
        return {"label": MEAN, "score": float(model_outputs["logits"][0][int(column)])}
