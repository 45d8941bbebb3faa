"""People of the llmfao crowd (github.com/dustalov/llmfao, CC BY 4.0): who differs, how soon known.

python examples/llmfao_people.py --data_dir data/llmfao [--left_out prompts] [--vectors words]

Items are the language models that answered, or their responses by frozen vectors. Prints what was
chosen, and the loss and accuracy on people (and prompts) left out, after n comparisons of each.
"""

import argparse
import csv
from pathlib import Path

from people_table import report

from hidden_context.records import read_jsonl


def read_votes(folder: Path, *, as_texts: bool) -> list[dict[str, str]]:
    """A row for each vote, of models by their names or of the responses to a prompt."""
    prompts = {row["id"]: row["text"] for row in read_jsonl(folder / "prompts.jsonl")}
    responses = {
        (row["prompt"], row["model"]): row["result"] for row in read_jsonl(folder / "results.jsonl")
    }
    with (folder / "crowd-comparisons.csv").open(newline="") as file:
        votes = list(csv.DictReader(file))
    number_of = {row["name"]: row["id"] for row in read_jsonl(folder / "models.jsonl")}
    side = {"left": "a", "right": "b", "tie": "tie"}
    rows = []
    for vote in votes:
        row = {"winner": side[vote["winner"]], "annotator": vote["worker"]}
        if as_texts:
            prompt = int(vote["prompt"])
            both = [responses[prompt, number_of[vote[side]]] for side in ("left", "right")]
            row |= {"prompt": prompts[prompt], "response_a": both[0], "response_b": both[1]}
        else:
            row |= {"item_a": vote["left"], "item_b": vote["right"], "prompt_id": vote["prompt"]}
        rows.append(row)
    return rows


def main() -> None:
    """Read, fit, print."""
    parser = argparse.ArgumentParser(description="People of the llmfao crowd.")
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument(
        "--vectors", help="words, or a reward model; if not given, items are models"
    )
    parser.add_argument("--left_out", choices=("people", "prompts"), default="people")
    parser.add_argument("--num_directions", type=int, help="if not given, chosen")
    given = parser.parse_args()
    votes = read_votes(given.data_dir, as_texts=given.vectors is not None)
    report(
        votes,
        given.vectors,
        by_prompt=given.left_out == "prompts",
        num_directions=given.num_directions,
    )


if __name__ == "__main__":
    main()
