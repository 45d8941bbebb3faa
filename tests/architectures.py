"""Every architecture that classifies sequences, as small as it can be built: what works with it.

python tests/architectures.py > docs/architectures.md
"""

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_models import VOCABULARY, make_tokenizer
from transformers import AutoModel, logging
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from hidden_context import RewardModel, UserError, load_comparisons, train

SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "d_model": 32,
    "n_embd": 32,
    "dim": 32,
    "emb_dim": 32,
    "embedding_size": 32,
    "num_hidden_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_layers": 2,
    "num_attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "moe_intermediate_size": 32,
    "d_ff": 64,
    "d_inner": 64,
    "hidden_dim": 64,
    "ffn_dim": 64,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 128,
    "n_positions": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""Sizes by the names that configurations have for them."""
LARGEST = 5_000_000
"""Weights of a model that is tried."""
ROWS = [
    {"chosen": f"Human: bread {number}?\n\nAssistant: mix flour", "rejected": other}
    for number, other in enumerate(
        [f"Human: bread {number}?\n\nAssistant: I would rather not" for number in range(8)]
    )
]
HEADER = """# Architectures

What `AutoModelForSequenceClassification` loads, each built with random weights as small as its
configuration allows, trained with LoRA adapters for a step, saved, loaded again and compared.
`shares prefixes`: what texts have in common is computed once; others are read in groups of like
length, with the same scores. Written by `python tests/architectures.py > docs/architectures.md`.

| architecture | trains with LoRA | the same scores when loaded | shares prefixes |
|:--|:--|:--|:--|"""


ATTEMPTS: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    ({}, ()),
    ({}, ("head_dim", "num_key_value_heads")),
    ({"num_key_value_heads": 4}, ()),
    ({"num_hidden_layers": 4}, ()),  # where each fourth layer alone attends
    ({}, ("num_hidden_layers", "n_layer", "n_layers", "num_layers")),
    ({"rotary_dim": 4}, ()),
    ({}, ("hidden_size", "d_model", "num_attention_heads")),
)
"""Other sizes, and sizes left as they are, where the ones above do not go together."""


def tiny_config(kind: str, other: Mapping[str, Any] = {}, without: Sequence[str] = ()) -> Any:
    """A small configuration of a type of model; sizes that it does not have are left out."""
    return _tiny(CONFIG_MAPPING[kind], {**SMALL, **other}, without)


def _tiny(config_class: Any, sizes: Mapping[str, Any], without: Sequence[str]) -> Any:
    """Its parts, such as the text's of a model that sees, are small too."""
    default = config_class()
    fixed = {name for name in sizes if isinstance(getattr(config_class, name, None), property)}
    known = {
        name: value
        for name, value in sizes.items()
        if hasattr(default, name) and name not in fixed and name not in without
    }
    parts = {
        name: _tiny(type(part), sizes, without).to_dict()
        for name in config_class.sub_configs
        if (part := getattr(default, name, None)) is not None
    }
    return config_class(**known, **parts)


def tried(kind: str, folder: Path) -> tuple[str, str, str]:
    """Whether it trains, is the same when loaded, and shares prefixes; or the reason."""
    try:
        config = _that_runs(kind)
        if (size := _size(config)) > LARGEST:
            return f"not tried: {size / 1e6:.0f} million weights at least", "", ""
        _built(config).save_pretrained(folder / "backbone")
    except Exception as error:  # whatever a configuration's sizes do not go together with
        return f"not built as small as this: {_short(error)}", "", ""
    tokenizer = make_tokenizer(encoder=True)
    tokenizer.save_pretrained(folder / "backbone")
    data = load_comparisons(ROWS)
    settings = {"learning_rate": 1e-2, "num_train_epochs": 1, "max_length": 64}
    try:
        model = train(
            data,
            model=str(folder / "backbone"),
            family="mean_and_variance",
            output_dir=folder / "rm",
            **settings,
        )
        raw = model.score_comparisons(data).raw
        again = RewardModel.from_pretrained(folder / "rm").score_comparisons(data).raw
    except UserError as error:
        return f"refused: {_short(str(error).replace(str(folder), ''))}", "", ""
    except Exception as error:  # of the architecture's own code
        return f"fails: {_short(error)}", "", ""
    is_same = np.allclose(raw, again, atol=1e-5) and np.ptp(raw[:, 0]) > 0
    shares = model.record["batching"] == "shared_prefix"
    return "yes", "yes" if is_same else "no", "yes" if shares else "no"


def _that_runs(kind: str) -> Any:
    """A small configuration whose sizes go together.

    Raises:
        Exception: What the architecture's own code makes of the first attempt.
    """
    first = None
    for other, without in ATTEMPTS:
        try:
            config = tiny_config(kind, other, without)
            if _size(config) <= LARGEST:
                _built(config)
                return config
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
    return tiny_config(kind)


def _size(config: Any) -> int:
    with torch.device("meta"):
        return sum(one.numel() for one in AutoModel.from_config(config).parameters())


def _built(config: Any) -> Any:
    """The backbone with random weights, which has read a text."""
    torch.manual_seed(0)
    backbone = AutoModel.from_config(config).eval()
    if not backbone.config.is_encoder_decoder:  # these are refused
        backbone(input_ids=torch.tensor([[5, 6, 7]]))
    return backbone


def _short(error: Any) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.replace("|", "/")[:160]


def lines() -> Iterator[str]:
    """The table, an architecture a line."""
    for kind in sorted(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield f"| {kind} | {' | '.join(tried(kind, Path(folder)))} |"


if __name__ == "__main__":
    logging.set_verbosity_error()
    print(HEADER)
    for line in lines():
        print(line, flush=True)
