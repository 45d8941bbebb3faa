"""Vectors of texts that need no model: hashed counts of words."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from hidden_context.audits.comparison_table import Reads
from hidden_context.comparisons.texts import Text

WIDTH = 1024
"""Of 512 to 4096, with and without pairs of words or characters, the settings here predicted the
relabelled HH-RLHF test comparisons best or nearly so (docs/decisions/0014-audit.md)."""


class HashedWords:
    """Logarithms of word counts, hashed into `WIDTH` numbers by scikit-learn."""

    name = "hashed words"
    description = (
        "hashed counts of the words of each response: no language model, so it sees vocabulary and "
        "length, and neither meaning nor the prompt"
    )
    reads: Reads = "response"
    width = WIDTH

    def __init__(self) -> None:
        import sklearn
        from sklearn.feature_extraction.text import HashingVectorizer

        self._vectorizer: Any = HashingVectorizer(n_features=WIDTH, norm=None)  # pyrefly: ignore
        settings = f"{self.name} {WIDTH} log1p {sklearn.__version__}"
        self.fingerprint = hashlib.blake2b(settings.encode(), digest_size=8).hexdigest()

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        """Shape `(n, width)`, float32: sign(c) log(1 + |c|) of signed counts c."""
        readable = [str(text).encode("utf-8", "replace").decode() for text in texts]
        counts = self._vectorizer.transform(readable).toarray()
        return (np.sign(counts) * np.log1p(np.abs(counts))).astype(np.float32)
