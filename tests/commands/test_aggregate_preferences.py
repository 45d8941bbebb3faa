"""The `aggregate` command: which winners it finds, what it leaves out, what it refuses."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hidden_context.aggregation import RULES
from hidden_context.aggregation.compared_choices import choices_from_comparisons
from hidden_context.commands.aggregate import Config, main
from hidden_context.commands.flags import field_help
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.distributions import Normal
from hidden_context.records import meta_path, write_json, write_jsonl

DOCUMENT = Path(__file__).parents[2] / "docs" / "aggregation.md"


def compared(chosen: str, rejected: str, prompt: str = "Dinner? ", **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **more}


def in_order(*responses: str, **more: Any) -> list[dict[str, Any]]:
    """Every pair of one person's order."""
    return [
        compared(better, worse, **more)
        for number, better in enumerate(responses)
        for worse in responses[number + 1 :]
    ]


DINNER = [
    row
    for times, who, order in ((6, "most", "abc"), (3, "some", "bca"), (1, "few", "cba"))
    for row in in_order(*order, who=who) * times
]
"""The DPL paper's example: orders of a, b and c in ten contexts."""


def aggregate(
    rows: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *flags: str,
    rules: str = "borda maximin",
) -> dict[str, Any]:
    file = tmp_path / "rows.jsonl"
    write_jsonl(file, rows)
    assert main(["--input", str(file), "--rules", *rules.split(), "--json", *flags]) == 0
    return json.loads(capsys.readouterr().out)


def refused(
    rows: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *flags: str,
    rules: str = "borda maximin",
) -> str:
    file = tmp_path / "rows.jsonl"
    write_jsonl(file, rows)
    assert main(["--input", str(file), "--rules", *rules.split(), *flags]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


def write_scores(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    file = tmp_path / "scores.jsonl"
    write_jsonl(file, rows)
    write_json(meta_path(file), {"families": {"reward_outputs_both": Normal().to_dict()}})
    return file


BOLD = {
    "prompt": "Human: dinner?",
    "responses": ["bold", "sure", "sure too"],
    "reward_outputs_both": [[1.1, 9.0], [1.0, -2.0], [0.0, -2.0]],
}
"""The first response has the highest mean and a large deviation."""


def test_the_examples_of_the_document_print_what_the_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "bash", "text", "python", "text"]
    data, line, printed, library, winners = (block for _, block in blocks)
    monkeypatch.chdir(tmp_path)
    exec(data, {})
    program, command, *arguments = shlex.split(line)
    assert (program, command) == ("hidden-context", "aggregate")
    assert main(arguments) == 0
    assert capsys.readouterr().out == printed
    exec(library, {})
    assert capsys.readouterr().out == winners


def test_every_rule_is_in_the_help_and_in_the_document() -> None:
    help_text, document = field_help(Config)["rules"], DOCUMENT.read_text()
    for name in RULES:
        assert name in help_text
        assert f"| `{name}` |" in document


def test_the_rules_differ_on_the_papers_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = "borda copeland maximin nash worst_group"
    found = aggregate(DINNER, tmp_path, capsys, "--group", "who", rules=rules)
    (example,) = found["examples"]
    assert example["responses"] == ["a", "b", "c"]
    assert example["scores"]["borda"] == pytest.approx([1.7 / 3, 0.6, 1 / 3])
    assert example["scores"]["maximin"] == pytest.approx([0.6, 0.4, 0.1])
    assert example["scores"]["worst_group"] == pytest.approx([1 / 6, 0.5, 1 / 6])
    expected = {"borda": [1], "copeland": [0], "maximin": [0], "nash": [1], "worst_group": [1]}
    assert example["winners"] == expected
    *pairs, of_all = found["disagreements"]
    assert len(pairs) == 10
    assert of_all["differ"] == of_all["no_common_winner"] == 1
    assert sum(pair["differ"] for pair in pairs) == 6  # {a: copeland, maximin} with the other three


def test_ties_are_reported_as_ties_and_are_a_difference_with_a_common_winner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """a and b: one win each. Both beat c, b only twice in three: an even duel, another Borda."""
    rows = [compared("a", "b"), compared("b", "a"), *[compared("a", "c")] * 3]
    rows += [compared("b", "c")] * 2 + [compared("c", "b")]
    found = aggregate(rows, tmp_path, capsys, rules="borda copeland")
    (example,) = found["examples"]
    assert example["winners"] == {"borda": [0], "copeland": [0, 1]}
    (pair,) = found["disagreements"]
    assert (pair["differ"], pair["no_common_winner"]) == (1, 0)


def test_a_condorcet_cycle_is_one_tie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cycle = [*in_order(*"abc"), *in_order(*"bca"), *in_order(*"cab")]
    found = aggregate(cycle, tmp_path, capsys, rules="borda copeland maximin")
    assert found["disagreements"][-1]["differ"] == 0
    (example,) = found["examples"]  # rankings are shown where rules agree, too
    assert example["winners"] == {name: [0, 1, 2] for name in ("borda", "copeland", "maximin")}


def test_votes_count_by_their_number_and_ties_half() -> None:
    """y against x: a tie of 2 votes, then 3 votes of 4."""
    columns = ("prompt", "response_a", "response_b", "votes_a", "votes_b", "votes_tie")
    votes = [("p", "x", "y", 0, 0, 2), ("p", "y", "x", 3, 1, 0), ("p", "x", "z", 1, 0, 0)]
    rows = [dict(zip(columns, vote, strict=True)) for vote in votes]
    (choice,) = choices_from_comparisons(
        Comparisons.from_rows(rows, "votes"), keep_incomplete=True
    ).kept
    assert set(map(str, choice.responses)) == {"x", "y", "z"}
    support = choice.evidence.support
    x, y, z = (choice.responses.index(name) for name in "xyz")
    assert support[y, x] == pytest.approx(4 / 6)
    assert support[x, z] == 1
    assert np.isnan(support[y, z])


def test_a_ranking_is_every_pair_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rankings = [
        {"prompt": "p", "responses": list("abc"), "ranking": order}
        for order in [[0, 1, 2]] * 6 + [[1, 2, 0]] * 3 + [[2, 1, 0]]
    ]
    (example,) = aggregate(rankings, tmp_path, capsys)["examples"]
    by_text = dict(zip(example["responses"], example["scores"]["borda"], strict=True))
    assert [by_text[name] for name in "abc"] == pytest.approx([1.7 / 3, 0.6, 1 / 3])


def test_prompts_that_cannot_be_chosen_for_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*DINNER, compared("same", "same", prompt="Equal? ", who="most")]
    rows += [compared("x", "y", prompt="One? ", who="few")]
    rows += [
        row | {"who": who}
        for who in ("most", "few")
        for row in (compared("x", "y", prompt="Gap? "), compared("y", "z", prompt="Gap? "))
    ]
    found = aggregate(rows, tmp_path, capsys, "--group", "who")
    assert found["prompts"] == 1
    assert found["left_out"] == {
        "with fewer than two alternatives": 1,
        "that fewer than two groups judged": 1,
        "with pairs that were never compared": 1,
    }
    kept = aggregate(rows, tmp_path, capsys, "--group", "who", "--incomplete", "keep")
    assert kept["prompts"] == 2


def test_a_score_that_is_not_known_is_null_and_never_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Group y has not judged c, so no one can say how it likes c least."""
    rows = [row | {"who": "x"} for row in in_order(*"cab")] + [compared("b", "a", who="y")]
    found = aggregate(
        rows, tmp_path, capsys, "--group", "who", "--incomplete", "keep", rules="borda worst_group"
    )
    (example,) = found["examples"]
    scores = dict(zip(example["responses"], example["scores"]["worst_group"], strict=True))
    assert scores["c"] is None
    assert [example["responses"][index] for index in example["winners"]["worst_group"]] == ["a"]


def test_conversations_are_told_apart_and_shown_without_their_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def turns(text: str) -> list[dict[str, str]]:
        asked = {"role": "user", "content": "Dinner?"}
        return [asked, {"role": "assistant", "content": text}]

    rows = [{"chosen": turns(row["chosen"]), "rejected": turns(row["rejected"])} for row in DINNER]
    (example,) = aggregate(rows, tmp_path, capsys)["examples"]
    contents = [[turn["content"] for turn in response] for response in example["responses"]]
    assert contents == [["a"], ["b"], ["c"]]
    file = tmp_path / "rows.jsonl"
    assert main(["--input", str(file), "--rules", "borda", "maximin"]) == 0
    assert "Row 1: Dinner?\n" in capsys.readouterr().out


def test_long_texts_are_folded_to_one_short_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = {name: f"{name}\n\n" + "word  " * 50 for name in "abc"}
    rows = [
        compared(longer[row["chosen"]], longer[row["rejected"]], prompt="Dinner\n" * 40)
        for row in DINNER
    ]
    file = tmp_path / "rows.jsonl"
    write_jsonl(file, rows)
    assert main(["--input", str(file), "--rules", "borda", "maximin"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[3:])) < 110
    assert sum("word word" in line for line in lines) == 3


def test_show_says_how_many_and_disjoint_winners_come_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tied = [compared("a", "b"), compared("b", "a"), *[compared("a", "c")] * 3]
    tied += [compared("b", "c")] * 2 + [compared("c", "b")]
    rows = [row | {"prompt": "Tied? "} for row in tied] + DINNER
    rules = "borda copeland"
    assert aggregate(rows, tmp_path, capsys, "--show", "0", rules=rules)["examples"] == []
    (first,) = aggregate(rows, tmp_path, capsys, "--show", "1", rules=rules)["examples"]
    assert first["prompt"] == "Dinner? "
    both = aggregate(rows, tmp_path, capsys, rules=rules)
    assert [example["row"] for example in both["examples"]] == [len(tied) + 1, 1]


# Learned distributions


def test_learned_distributions_choose_by_their_family(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_scores(tmp_path, [BOLD])
    flags = ["--column", "reward_outputs_both", "--reference", "3", "--json"]
    rules = ["expected_utility", "borda", "reference"]
    assert main(["--input", str(file), *flags, "--rules", *rules]) == 0
    (example,) = json.loads(capsys.readouterr().out)["examples"]
    assert example["winners"] == {"expected_utility": [0], "borda": [1], "reference": [1]}
    utility = Normal().decode(np.array(BOLD["reward_outputs_both"]))
    assert example["scores"]["expected_utility"] == pytest.approx(utility.mean.tolist())


def test_rows_of_one_response_are_left_out_of_a_score_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = {"prompt": "p", "responses": ["r"], "reward_outputs_both": [[0.0, 0.0]]}
    file = write_scores(tmp_path, [lone, BOLD])
    flags = ["--column", "reward_outputs_both", "--rules", "borda", "copeland"]
    assert main(["--input", str(file), *flags]) == 0
    assert "left out: 1 with fewer than two alternatives" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "flags", "message"),
    [
        ({}, ["--column", "reward_outputs_x"], "no column 'reward_outputs_x'"),
        ({}, [], "choose a column: --column reward_outputs_both"),
        ({}, ["--group", "who", "--column", "reward_outputs_both"], "have no groups"),
        ({"reward_outputs_both": [[0.0, 1.0]]}, ["--column", "reward_outputs_both"], "row 1"),
        (
            {"reward_outputs_both": [[0.0], [1, 2], []]},
            ["--column", "reward_outputs_both"],
            "row 1",
        ),
        ({}, ["--column", "reward_outputs_both", "--reference", "4"], "row 1: no response 4"),
        ({}, ["--column", "reward_outputs_both", "--reference", "0"], "numbered from 1"),
        ({}, ["--column", "reward_outputs_both", "--rules", "borda", "nash"], "(group)"),
        ({}, ["--column", "reward_outputs_both", "--rules", "borda", "worst_group"], "contexts"),
        ({}, ["--column", "reward_outputs_both", "--rules", "borda", "reference"], "(reference)"),
    ],
)
def test_score_files_that_cannot_be_read_so_are_refused(
    change: dict[str, Any],
    flags: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_scores(tmp_path, [BOLD | change])
    assert main(["--input", str(file), "--rules", "borda", "copeland", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_score_file_without_a_record_of_its_family_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused([BOLD], tmp_path, capsys, "--column", "reward_outputs_both")
    assert "rows.jsonl.meta.json" in message


# What is refused


def test_groups_must_be_there_named_and_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no column 'team'" in refused(DINNER, tmp_path, capsys, "--group", "team")
    one = [row | {"who": "all"} for row in DINNER]
    assert "there is one, 'all'" in refused(one, tmp_path, capsys, "--group", "who")
    for empty in ("", None, " "):
        rows = [*DINNER[:2], DINNER[2] | {"who": empty}]
        assert "row 3: column 'who' is empty" in refused(rows, tmp_path, capsys, "--group", "who")


def test_a_file_with_nothing_to_choose_from_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused([compared("same", "same")], tmp_path, capsys)
    assert "no prompt to choose for; left out: 1 with fewer than two alternatives" in message


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("borda", "two or more different rules"),
        ("borda borda", "two or more different rules"),
        ("borda plurality", "'plurality' is unknown; choose one of borda, "),
        ("borda expected_utility", "learned distributions"),
        ("borda nash", "(group)"),
        ("borda worst_group", "(group)"),
        ("borda reference", "(reference)"),
    ],
)
def test_rules_that_cannot_choose_are_refused(
    rules: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(DINNER, tmp_path, capsys, rules=rules)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--show", "-1"], "--show is -1"),
        (["--reference", "1"], "--reference is for score files"),
        (["--incomplete", "guess"], "incomplete"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(DINNER, tmp_path, capsys, *flags)
