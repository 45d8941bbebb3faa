"""Whole inputs of every kind, and the commands that read them; `run.py` damages them."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import page_samples
import torch
from reward_benchmarks.made_rows import ROWS as BENCHMARKS
from tiny_models import tiny_model

from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.reward_model import RewardModel
from hidden_context.records import write_jsonl

ROWS: dict[str, list[dict[str, Any]]] = {
    "plain": [
        {"chosen": f"bread {i}", "rejected": f"water {i}", "objective": "helpful", "weight": 1.0}
        for i in range(3)
    ],
    "prompt": [
        {"prompt": f"question {i}", "chosen": " yes", "rejected": " no", "prompt_id": i}
        for i in range(3)
    ],
    "votes": [
        {"response_a": "a", "response_b": "b", "wins": 3, "losses": 1, "ties": 1, "group": "x"},
        {"response_a": "c", "response_b": "d", "wins": 0, "losses": 1, "ties": 0, "group": "y"},
    ],
    "strengths": [
        {"chosen": "a", "rejected": "b", "strength": 2, "annotator": "ann"},
        {"chosen": "c", "rejected": "d", "strength": "slightly better", "annotator": "bob"},
    ],
    "winner": [
        {"item_a": "a", "response_a": "a", "response_b": "b", "winner": "a"},
        {"item_a": "a", "response_a": "a", "response_b": "c", "winner": "tie"},
    ],
    "ranking": [{"prompt": "p", "responses": ["x", "y", "z"], "ranking": [2, 0, 1]}] * 2,
    "soft": [{"chosen": "a", "rejected": "b", "probability": 0.7}] * 2,
    "messages": [
        {
            "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
            "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}],
        }
    ],
    "arena": [
        {"prompt": '["q"]', "response_a": f'["{i}"]', "response_b": '["b"]', "winner": "gpt"}
        | {"model_a": "gpt", "model_b": "llama", "tie_id": i}
        for i in range(3)
    ],
}
"""Small preference data in many layouts."""
ROWS["messages as text"] = [
    {name: json.dumps(turns) for name, turns in ROWS["messages"][0].items()}
    | {"score_chosen": 2, "score_rejected": 1}
] * 3
VOTES = {
    "winner.csv": "item_a,item_b,winner,rater\ntea,milk,tea,x\nmilk,rum,B,y\nrum,tea,tie,\n",
    "wins.csv": "first,second,wins,votes,weight\ntea,milk,2,3,1\nrum,milk,0,1,2.5\n",
    "matrix.csv": "row,tea,milk\nmilk,1,0\ntea,0,2\n",
    "rankings.csv": "ranking,group\ntea > milk = rum,x\nrum > tea,y\n",
    "votes.csv": "timestamp,comment-id,voter-id,vote\n"
    "1,0,5,1\n4,1,5,-1\n3,1,5,0\n2,0,6,1\n5,1,6,1\n",
    "items.jsonl": '{"left": 1, "right": 2, "winner": 2}\n{"left": 2, "right": 3}\n',
}
"""Small files of votes on items, in many layouts."""
RULES = ("--rules", "borda", "maximin", "--incomplete=keep")
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
)
QUICK = 8
"""How often a file is given to a command that answers in milliseconds, for once to `report`."""
RESPONSES = [{"prompt": f"Human: {i}?", "responses": [" no", " yes"], "id": i} for i in range(3)]


@dataclass(frozen=True)
class Input:
    """A file, or none, and the command line that reads it; `{}` is the folder it all lies in."""

    kind: str
    folder: str | None
    """Of the whole inputs, what is copied to the folder of a case."""
    file: str | None
    """What is damaged, below that folder; None: the command line is."""
    arguments: tuple[str, ...]
    output: str | None = None
    """What the command writes, where it is not to be there after a refusal."""
    parse_only: bool = False
    """Not run, since it would take long or ask the network."""


def make_whole(root: Path) -> list[Input]:
    """Write whole inputs of every kind to a folder; how each is read."""
    _write_models(root)
    inputs = [*_data(root), *_votes(root), *_results(root), *_checkpoints(root)]
    return [*inputs, *_settings(root), *_flags(root)]


def _write_models(root: Path) -> None:
    name = str(tiny_model())
    for folder, family in {"full": Normal(), "adapter": Categorical(num_atoms=3)}.items():
        torch.manual_seed(0)
        backbone = load_backbone(name, family.num_outputs, dtype=torch.float32).eval()
        model = with_adapters(backbone) if folder == "adapter" else backbone
        tokenizer = load_tokenizer(name)
        tokenizer.chat_template = TEMPLATE
        reward_model = RewardModel(model.eval(), tokenizer, family, name)
        reward_model.save_pretrained(root / "models" / folder)


def _data(root: Path) -> list[Input]:
    checkpoint = f"--reward_model_checkpoint={root}/models/full"
    out = "out.jsonl"
    inputs = []
    for name, rows in ROWS.items():
        write_jsonl(root / "data" / f"{name}.jsonl", rows)
        evaluate = (
            "evaluate",
            checkpoint,
            f"--data_path={{}}/{name}.jsonl",
            f"--output={{}}/{out}",
        )
        aggregate = ("aggregate", f"--input={{}}/{name}.jsonl", *RULES)
        for command in (evaluate, aggregate):
            output = out if command is evaluate else None
            inputs.append(Input("data file", "data", f"{name}.jsonl", command, output))
    csv = "chosen,rejected,strength\nbread,water,1\nflour,salt,2\n"
    (root / "data" / "table.csv").write_text(csv)
    (root / "data" / "array.json").write_text(json.dumps(ROWS["plain"]))
    for name in ("table.csv", "array.json"):
        command = ("evaluate", checkpoint, f"--data_path={{}}/{name}", f"--output={{}}/{out}")
        inputs.append(Input("data file", "data", name, command, out))
    write_jsonl(root / "data" / "responses.jsonl", RESPONSES)
    models = ("--reward_model_checkpoints", f"{root}/models/full", "--reward_model_names", "x")
    score = ("score", "--input={}/responses.jsonl", f"--output={{}}/{out}", *models)
    best_of = ("best-of", *score[1:4], models[1])
    inputs += [
        Input("data file", "data", "responses.jsonl", command, out)
        for command in (score, score, score, best_of)
    ]
    for name in ("rewardbench2", "rm-bench", "judgebench"):
        write_jsonl(root / "data" / f"{name}.jsonl", BENCHMARKS[name]()[-4:])
        data = (f"--data_path={{}}/{name}.jsonl", "--output_dir={}/out")
        command = ("benchmark", name, f"{root}/models/full", *data)
        scores = f"out/{name}/scores/full.jsonl"
        inputs.append(Input("data file", "data", f"{name}.jsonl", command, scores))
    return inputs


def _votes(root: Path) -> list[Input]:
    (root / "votes").mkdir()
    for name, text in VOTES.items():
        (root / "votes" / name).write_text(text)
    command = ("items", "--family=base", "--ridge=1")
    return [Input("vote file", "votes", name, (*command, f"{{}}/{name}")) for name in VOTES]


def _results(root: Path) -> list[Input]:
    folder = root / "results"
    for family in (Point(), Normal(), Categorical(num_atoms=3)):
        page_samples.write_run(folder, family)
    page_samples.write_jailbreaks(folder, Normal())
    page_samples.write_audit(folder / "audit", ("both",))
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    inputs = []
    for file in map(str, files):
        is_score = file.endswith(".jsonl")
        kind = "score file" if is_score else "record"
        report = ("report", "{}", "--out={}/page.html")
        summarize = ("summarize", "--data_dir={}", "--json")
        inputs.append(Input(kind, "results", file, report, "page.html"))
        if not file.startswith("audit"):
            inputs += [Input(kind, "results", file, summarize)] * QUICK
        if is_score:
            aggregate = ("aggregate", f"--input={{}}/{file}", *RULES)
            if file.startswith("jailbroken"):
                aggregate += ("--column=reward_outputs_both_mean_and_variance",)
            inputs += [Input(kind, "results", file, aggregate)] * QUICK
    return inputs


def _checkpoints(root: Path) -> list[Input]:
    inputs = []
    for folder in ("full", "adapter"):
        command = (
            *("evaluate", "--reward_model_checkpoint={}"),
            *(f"--data_path={root}/data/plain.jsonl", "--output={}/out.jsonl"),
        )
        for path in sorted((root / "models" / folder).iterdir()):
            if path.suffix in (".json", ".safetensors", ".jinja"):
                where = f"models/{folder}"
                inputs.append(Input("checkpoint", where, path.name, command, "out.jsonl"))
    return inputs


def _settings(root: Path) -> list[Input]:
    settings = {
        "summarize": f"data_dir: {root}/results\nrisk: [mean, 'quantile:0.01']\ncurves: quantile\n",
        "evaluate": f"reward_model_checkpoint: {root}/models/full\ndata_path: "
        f"{root}/data/plain.jsonl\nmax_length: 64\nbf16: false\n",
        "train": "model_name: gpt2\nlearning_rate: 1e-4\nreward_model_type: categorical\n"
        "thresholds: [0.1, 0.2]\nlr_scheduler_kwargs: {min_lr: 0.1}\n",
    }
    inputs = []
    for name, text in settings.items():
        file = f"{name}.yaml"
        (root / "settings").mkdir(exist_ok=True)
        (root / "settings" / file).write_text(text)
        output = "out.jsonl" if name == "evaluate" else None
        writes = ("--output={}/out.jsonl",) if output else ()
        command = (name, f"--config={{}}/{file}", *writes)
        parse_only = name == "train"
        inputs.append(Input("settings", "settings", file, command, output, parse_only))
    return inputs


def _flags(root: Path) -> list[Input]:
    model, data = f"{root}/models/full", f"{root}/data/plain.jsonl"
    run = {
        "evaluate": (f"--reward_model_checkpoint={model}", f"--data_path={data}", "--batch_size=2"),
        "score": (
            *(f"--input={root}/data/responses.jsonl", "--output={}/out.jsonl", "--risk", "mean"),
            *("--reward_model_checkpoints", model, "--reward_model_names", "x"),
        ),
        "best-of": (
            *(f"--input={root}/data/responses.jsonl", "--output={}/out.jsonl"),
            *("--rule=reference", "--reference=1", "--reward_model_checkpoints", model, model),
        ),
        "summarize": (f"--data_dir={root}/results", "--risk", "cvar:0.1", "--curves=lcb"),
        "aggregate": (f"--input={data}", *RULES),
        "report": (f"{root}/results", "--out={}/page.html"),
    }
    parsed = {
        "train": (f"--model_name={model}", "--learning_rate=0.1", "--thresholds", "1", "2"),
        "audit": (data, "--out={}/audit", "--data_subset", "helpful"),
        "synthetic": ("--env=1d", "--lr=0.001", "--num_iterations=1"),
        "demo": ("--seed=1",),
        "download": ("all", "--to={}/data"),
    }
    return [
        *[
            Input("command line", None, None, (name, *flags))
            for name, flags in run.items()
            for _ in range(1 if name == "report" else QUICK)
        ],
        *[
            Input("command line", None, None, (name, *flags), parse_only=True)
            for name, flags in parsed.items()
            for _ in range(QUICK)
        ],
    ]


def copied(root: Path, one: Input, case: Path, damage: Callable[[bytes], bytes]) -> int:
    """Copy what an input needs to the folder of a case, its file damaged; the file's size."""
    shutil.copytree(root / str(one.folder), case)
    path = case / str(one.file)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    return len(damaged)
