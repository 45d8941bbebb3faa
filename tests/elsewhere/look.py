"""What stock transformers of one version make of exported models. Needs nothing of this project.

python look.py FOLDER: reads FOLDER/cases.json and the models beside it, prints JSON: for each the
largest difference of a raw output (of the largest output, if that is above 1), or the reason why
it was not loaded. Those in FOLDER/native are read and written again, into FOLDER/<version>.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


def seen(folder: Path, case: dict) -> dict:
    """Differences from what is expected of a model."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(text)["input_ids"] for text in case["texts"]]
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    differences, size = [], 1.0
    with torch.inference_mode():
        for batch in case["batches"]:
            padded = tokenizer.pad({"input_ids": batch["input_ids"]}, return_tensors="pt")
            expected = torch.tensor(batch["outputs"], dtype=torch.float64)
            differences.append((model(**padded).logits.double() - expected).abs().max().item())
            size = max(size, expected.abs().max().item())
    answer = pipeline("text-classification", model=str(folder), device="cpu")(case["texts"])
    given = torch.tensor([one["score"] for one in answer], dtype=torch.float64)
    alone = torch.tensor(case["alone"], dtype=torch.float64)
    return {
        "difference": max(differences) / size,
        "same_tokens": ids == case["batches"][0]["input_ids"],
        "pipeline": (given - alone).abs().max().item() / size,
        "label": answer[0]["label"],
    }


def write_again(folder: Path, to: Path) -> None:
    """What this version makes of a model and its tokenizer when it saves them."""
    AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(to)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(to)


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    root = Path(sys.argv[1])
    cases = json.loads((root / "cases.json").read_text())
    answers = {}
    for name, case in cases.items():
        try:
            answers[name] = seen(root / name, case)
            if (root / "native" / name).exists():
                write_again(root / "native" / name, root / transformers.__version__ / name)
        except Exception as error:
            answers[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    print(json.dumps({"version": transformers.__version__, "cases": answers}))


if __name__ == "__main__":
    main()
