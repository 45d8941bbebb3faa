"""A file or folder of another kind than was asked for is named, with what reads it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hidden_context.records import write_json, write_jsonl

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What commands write, as far as it tells kinds apart; and preference data."""
    folder = tmp_path_factory.mktemp("kinds")
    write_jsonl(folder / "pairs.jsonl", [{"prompt": "?", "chosen": "a", "rejected": "b"}])
    write_jsonl(
        folder / "best.jsonl", [{"prompt": "?", "responses": ["a", "b"], "rewards": [1, 0]}]
    )
    write_json(folder / "best.jsonl.meta.json", {"kind": "best_of", "families": []})
    for name, record in (("rm", "hidden_context"), ("people", "people"), ("audited", "audit")):
        (folder / name).mkdir()
        write_json(folder / name / f"{record}.json", {"kind": record})
    (folder / "page.html").write_text("<p>")
    return folder


BEST, RM, PEOPLE = "what best-of ranked", "a reward model of train", "people of people --save"
PAIRS = "pairs.jsonl"
EVALUATE = ["evaluate", f"--data_path={PAIRS}", "--output=o.jsonl", "--reward_model_checkpoint"]


@pytest.mark.parametrize(
    ("arguments", "given", "what"),
    [
        (["audit", PAIRS, "--scores"], "x=best.jsonl", BEST),
        (["audit", PAIRS, "--scores"], "x=rm", RM),
        (["audit", PAIRS, "--scores"], "x=page.html", "a page"),
        (["report"], "best.jsonl", BEST),
        (["report"], "rm", RM),
        (["report"], "people", PEOPLE),
        (EVALUATE, "people", PEOPLE),
        (["audit"], "audited", "a folder of audit"),
        (["people"], "rm", RM),
        (["axes"], "people", PEOPLE),
        (["train", "--model_name=rm", "--data_path"], "people", PEOPLE),
        (["summarize", "--data_dir"], "rm", RM),
        (["summarize", "--data_dir"], "best.jsonl", BEST),
        (["best-of", "--input=best.jsonl", "--output=o.jsonl", "--people"], "rm", RM),
        (["aggregate", "--rules", "borda", "copeland", "--input"], "rm", RM),
    ],
)
def test_what_was_given_is_named_by_its_kind(
    arguments: list[str],
    given: str,
    what: str,
    run: Run,
    there: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(there)
    status, _, error = run(*arguments, given)
    assert status == 2, error
    assert f"It seems to be {what}" in error
    assert given.removeprefix("x=") in error
    assert "Did you mean" not in error
