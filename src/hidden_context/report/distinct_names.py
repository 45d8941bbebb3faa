"""Names of models where several are of one family and training set."""

from collections import Counter
from collections.abc import Sequence


def distinct_names(models: Sequence[tuple[str, str]]) -> list[str]:
    """The family of each, numbered where several models are of one family and training set.

    Args:
        models: Family and training set.
    """
    total, seen = Counter(models), Counter[tuple[str, str]]()
    names = []
    for model in models:
        seen[model] += 1
        names.append(model[0] if total[model] == 1 else f"{model[0]} ({seen[model]})")
    return names
