"""Files of votes: what is read of each layout, what is left out, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from hidden_context.commands.cli import main
from hidden_context.errors import UserError
from hidden_context.items import compare_families, read_vote_file, read_votes

PREFLIB = """# TITLE: drinks
# ALTERNATIVE NAME 1: tea
# ALTERNATIVE NAME 2: milk
# ALTERNATIVE NAME 3: rum
2: 1,2,3
1: 3,{1,2}
1: 2
"""
FILES = {
    "arena.csv": "model_a,model_b,winner,judge\ntea,milk,model_a,x\ntea,milk,model_a,y\n"
    "milk,rum,tie (bothbad),x\nrum,rum,tie,x\ntea,rum,,y\n",
    "kaggle.csv": "model_a,model_b,winner_model_a,winner_model_b,winner_tie\n"
    "tea,milk,1,0,0\nmilk,tea,0,1,0\nmilk,rum,0,0,1\n",
    "counts.csv": "first,second,wins,losses,ties\ntea,milk,2,0,0\nrum,milk,0,0,1\n",
    "names.csv": "left,right,winner\ntea,milk,tea\nmilk,tea,right\nrum,milk,tie\n",
    "won.csv": "winner,loser,weight\ntea,milk,2\nmilk,rum,.5\nrum,milk,.5\n",
    "wins.csv": "row,tea,milk,rum\ntea,7,2,0\nmilk,0,0,0.5\nrum,0,0.5,0\n",
}


def table_of(path: Path, text: str) -> tuple[dict[tuple[str, str], float], str]:
    """Votes for the first of each pair of names, ties half; and the account."""
    path.write_text(text)
    read = read_vote_file(path)
    made, total = read.comparisons, {}
    columns = made.first, made.second, made.outcomes.win_share, made.outcomes.weight
    for first, second, share, weight in zip(*columns, strict=True):
        a, b = str(made.names[first]), str(made.names[second])
        total[a, b] = total.get((a, b), 0.0) + weight * share
        total[b, a] = total.get((b, a), 0.0) + weight * (1 - share)
    return total, str(read)


@pytest.mark.parametrize("name", list(FILES))
def test_the_same_votes_in_every_layout(name: str, tmp_path: Path):
    total, account = table_of(tmp_path / name, FILES[name])
    expected = {("tea", "milk"): 2.0, ("milk", "tea"): 0.0}
    expected |= {("milk", "rum"): 0.5, ("rum", "milk"): 0.5}
    assert {pair: number for pair, number in total.items() if number} == pytest.approx(
        {pair: number for pair, number in expected.items() if number}
    )
    assert ("nothing" in account.split("left out: ")[1]) == (name not in ("arena.csv", "wins.csv"))
    if name == "arena.csv":
        assert "1 rows of an item with itself, 1 rows without an answer" in account
        assert "annotator: judge (2 people)" in account


@pytest.mark.parametrize("name", ["drinks.toi", "DRINKS.TOI"])
def test_preflib_orders_weigh_2_over_k(tmp_path: Path, name: str):
    total, account = table_of(tmp_path / name, PREFLIB)
    assert total["tea", "milk"] == pytest.approx(2 / 3 * 2.5)
    assert total["rum", "milk"] == pytest.approx(2 / 3)
    assert total["tea", "rum"] == pytest.approx(2 / 3 * 2)
    assert "1 ballots of fewer than two items" in account
    assert "ballots: 3" in account


def test_rankings_as_text_are_weak_orders(tmp_path: Path):
    text = "ranking,annotator\ntea > milk = rum,x\nmilk > rum,y\ntea,z\n"
    total, account = table_of(tmp_path / "r.csv", text)
    assert total["milk", "rum"] == pytest.approx(2 / 3 / 2 + 1)
    assert total["tea", "milk"] == pytest.approx(2 / 3)
    assert "1 rankings of fewer than two items" in account


def test_polis_is_read_by_person_with_texts_and_groups(tmp_path: Path):
    (tmp_path / "comments.csv").write_text("comment-id,comment-body\n0,Tea is good.\n")
    text = "participant,group-id,n-votes,0,1,2\n5,0,3,1,-1,0\n6,1,2,1,1,\n7,1,1,,1,\n"
    total, account = table_of(tmp_path / "participants-votes.csv", text)
    assert total["0 Tea is good.", "1"] == pytest.approx(2 / 3 + 1 / 2)
    assert total["2", "1"] == pytest.approx(2 / 3)
    assert "2 groups" in account
    assert "1 people with fewer than two votes" in account
    long = "comment-id,voter-id,vote\n0,5,1\n1,5,1\n1,5,-1\n2,5,0\n0,6,1\n1,6,1\n1,7,1\n"
    again, account = table_of(tmp_path / "votes.csv", long)
    assert again == pytest.approx(total)
    assert "1 votes that were changed later" in account


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "model_a,model_b,winner\na,b,model_c\n", "row 1: winner is 'model_c'"),
        ("a.csv", "first,second,wins,losses\na,b,-1,0\n", "row 1: wins is '-1'"),
        ("a.csv", "first,second,winner\na,a,tie\n", "no row with two items and an answer"),
        ("r.csv", "ranking\na > a\n", "row 1: ranking 'a > a' names an item twice"),
        ("p.csv", "participant,group-id,0,1\n1,0,2,1\n", "row 1, column 0: '2' is no vote"),
        ("x.soc", "# ALTERNATIVE NAME 1: a\n1: 1,4\n", "line 2: alternative 4 has no name"),
        ("x.soi", "1; 2\n", "line 1: '1; 2'; expected a count"),
        ("none.csv", "", "has no rows"),
    ],
)
def test_what_cannot_be_read_is_refused_by_row(name: str, text: str, message: str, tmp_path: Path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        read_vote_file(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "votes", "account"),
    [
        # a winner is named by its item before its side; spaces around a name are not part of it
        ("item_a,item_b,winner\nx ,y, y\nx,y,Item A\nx,y,A > B\n", {("x", "y"): 2}, "of 2 items"),
        (
            "item_a,item_b,winner\nx,y,neither\nx,y,No preference\n",
            {("x", "y"): 1},
            "weigh 2 votes",
        ),
        ("first,second,wins,votes\nx,y,3,5\n", {("x", "y"): 3, ("y", "x"): 2}, "weigh 5 votes"),
        ("item_a,item_b,winner,rater,Note\nx,y,x,p\u200b,?\n", {("x", "y"): 1}, "not read: Note"),
        (
            "item_a,item_b,winner\nTea,y,a\ntea,y,a\n",
            {("tea", "y"): 1},
            "items whose names are alike",
        ),
        (
            "item_a,item_b,winner,weight\nx,y,x,3\nz,y,z,1\nx,y,y,0\n",
            {("x", "y"): 1.5, ("z", "y"): 0.5},
            "1 rows of weight 0",
        ),
        (
            ",a,b,c\nb,0,7,1\na,0,2,4\nc,0,0,0\n",
            {("a", "b"): 2, ("b", "c"): 1},
            "1 cells of an item",
        ),
    ],
)
def test_votes_as_people_write_them(
    text: str, votes: dict[tuple[str, str], float], account: str, tmp_path: Path
):
    total, said = table_of(tmp_path / "v.csv", text)
    assert {pair: total[pair] for pair in votes} == pytest.approx(votes)
    assert account in said


def test_the_account_has_the_lines_of_that_of_preference_data(tmp_path: Path):
    votes = ["x,y,x,p,1", "y,x,x,p,1", "x,y,y,p,1", "x,z,tie,N/A,1", "x,z,tie,,2", "x,,x,q,2"]
    path = tmp_path / "v.csv"
    path.write_text("\n".join(["item_a,item_b,winner,voter_id,team", *votes]))
    assert read_vote_file(path).lines() == {
        "source": str(path),
        "layout": "two items a row",
        "comparisons": "5 of 3 items, 2 with ties (they weigh 5 votes)",
        "items": "item_a, item_b",
        "outcome": "winner",
        "weight": "no column",
        "annotator": "voter_id (2 people, 1 comparisons without one)",
        "group": "no column",
        "left out": "1 rows without an item",
        "carried along, not read": "team",
        "to be known": "'N/A' count among the annotators, as one each; 1 rows that say again what "
        "their annotator said of the same two items, each counted as a further vote; 1 pairs of "
        "items of which one annotator prefers now the one, now the other; each vote counts",
    }
    path.write_text("item_a,item_b,winner\n" + "".join(f"x,{i},a\n" for i in range(10)))
    assert "in all 10 rows the first of the two items is better" in str(read_vote_file(path))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "item_a,item_b,winner,annotator,rater\nx,y,x,p,q\n",
            "column 'rater' may also say who judged, and is not read",
        ),
        (
            "item_a,item_b,wins,losses\nx,y,60,40\nx,z,55,45\ny,z,10,90\n",
            "each row has 100 votes; if they are percents, they make too much of a row",
        ),
    ],
)
def test_what_else_is_to_be_known_of_votes_is_said(text: str, note: str, tmp_path: Path):
    assert f"to be known: {note}" in table_of(tmp_path / "v.csv", text)[1]


def test_texts_as_items_have_groups_ballots_and_the_account_of_their_data(tmp_path: Path):
    path = tmp_path / "v.jsonl"
    path.write_text(json.dumps({"responses": ["x", "y", "z"], "ranks": [1, 2, 3], "group": "g"}))
    read = read_vote_file(path)
    assert read.comparisons.ballots is not None
    assert (read.comparisons.ballots.tolist(), read.comparisons.groups) == ([0] * 3, ("g",) * 3)
    lines = read.lines()
    assert lines["comparisons"] == "3 of 3 items, 0 with ties (they weigh 2 votes)"
    assert lines["outcome"] == "ranks"
    assert lines["rows"].startswith("1 (1 rankings")


def test_votes_in_json_lines_are_named_as_in_csv(tmp_path: Path):
    rows = [{"item_a": 1, "item_b": 2, "winner": 2}, {"item_a": 2, "item_b": 1, "winner": None}]
    total, said = table_of(tmp_path / "v.jsonl", "\n".join(map(json.dumps, rows)))
    assert total["2", "1"] == 1
    assert "1 rows without an answer" in said


def test_odd_lines_of_json_are_read_or_refused(tmp_path: Path):
    row = {"item_a": "x\ud83d", "item_b": "y", "winner": "x\ud83d", "\ud83d": 1}
    assert "not read: \\ud83d" in table_of(tmp_path / "v.jsonl", json.dumps(row))[1]
    with pytest.raises(UserError, match="has no columns"):
        table_of(tmp_path / "v.jsonl", "{}")


def test_the_last_vote_of_a_person_on_polis_is_the_latest(tmp_path: Path):
    later = "timestamp,comment-id,voter-id,vote\n30,0,5,-1\n20,1,5,0\n10,0,5,1\n"
    assert table_of(tmp_path / "votes.csv", later)[0]["1", "0"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item_a,item_b,winner\nx,y,x,z\n", "line 2: 4 cells; expected 3"),
        ("item_a,item_b,winner\nx,y\n", "line 2: 2 cells; expected 3"),
        ("item_a,item_b,winner,winner\nx,y,x,y\n", "several columns 'winner'"),
        ("item_a,item_b,winner\nb,a,a\n", "row 1: winner is 'a'; .* not what the other side is"),
        ("item_a,item_b,winner\nx,y,Both Sides\nx,Both Sides,y\n", "row 1: winner is 'Both Sides'"),
        ("item_a,item_b,winner,wins,losses\nx,y,x,1,2\n", "winner and wins/losses both say"),
        ("item_a,item_b,winner,votes\nx,y,x,5\n", "'votes' seems to say .* or leave it out"),
        ("item_a,item_b,winner,Weight\nx,y,x,5\n", "rename 'Weight' to 'weight', or leave it out"),
        ("item_a,item_b,winner,wieght\nx,y,x,5\n", "did you mean 'weight'. Rename it, or leave it"),
        ("winner,loser,votes\nx,y,3\n", "'votes' seems to say something of the outcome"),
        ("item_a,item_b,winer\nx,y,x\n", "did you mean 'winner'. Rename it, or leave it out"),
        ("item_a,item_b,winner,tie\nx,y,,1\nx,y,x,0\n", "'tie' says something of the outcome besi"),
        ("item_a,item_b,winner\nItem_A,Item_B,winner\n", "row 1: the names of the columns again"),
        ("ranking,weight\nx > y,5\n", "'weight' is not read of rankings; write a row for each"),
        ("ranking,count\nx > y,5\n", "'count' seems to say something of the outcome"),
        ("item_a,item_b,winner,weight\nx,y,x,\n", "row 1: weight is ''; give a number"),
        ("item_a,item_b,wins,losses,votes\nx,y,1,2,4\n", "row 1: not as many votes in all"),
        (
            "model_a,model_b,wins,losses,winner_model_a,winner_model_b,winner_tie\nx,y,1,0,0,1,0\n",
            "wins/losses and winner_model_a/winner_model_b/winner_tie both say",
        ),
        ("item_a,item_b,wins\nx,y,1\n", "no column says which won"),
        ("item_a,item_b,probability\nx,y,1\n", "no column says which won"),
        (
            "model_a,model_b,winner_model_a,winner_model_b,winner_tie\nx,y,1,1,0\n",
            "row 1: more than one of winner_model_a",
        ),
        (
            "model_a,model_b,winner,winner_model_a,winner_model_b,winner_tie\nx,y,x,1,0,0\n",
            "winner and winner_model_a/winner_model_b/winner_tie both say",
        ),
    ],
)
def test_votes_that_could_mean_two_things_are_refused(text: str, message: str, tmp_path: Path):
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_vote_file(tmp_path / "v.csv")


def test_the_command_writes_what_the_fit_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(0)
    lines = ["first,second,winner,annotator,group"]
    for person in range(12):
        for first, second in ("ab", "bc", "ac", "cd", "da"):
            winner = first if rng.random() < 0.7 else second
            lines.append(f"{first},{second},{winner},p{person},g{person % 2}")
    path, out = tmp_path / "votes.csv", tmp_path / "out"
    path.write_text("\n".join(lines))
    assert main(["items", str(path), "--family", "base", "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "result.json").read_text())
    assert {row["item"] for row in printed["items"]} == set("abcd")
    assert all(row["mean_low"] < row["mean"] < row["mean_high"] for row in printed["items"])
    assert len(printed["preferences"]) == 6
    assert printed["converged"]
    assert printed["cross_validation"]["held_out"] == "people"
    assert {"g0", "g1_low"} <= set(printed["groups"][0])
    files = ("items.csv", "preferences.csv", "utilities.png", "preferences.png")
    assert all((out / name).stat().st_size for name in files)
    assert main(["items", str(path), "--family", "base", "--ridge", "1", "--show", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("This fit cannot tell whether one number an item hides something")
    assert "… and 2 more" in shown.out
    assert "annotator: annotator (12 people)" in shown.err
    assert printed["read"]["comparisons"] == "60 of 4 items, 0 with ties (they weigh 60 votes)"


@pytest.mark.parametrize("is_named", [True, False])
def test_responses_that_were_compared_with_one_other_are_refused_at_once(
    is_named: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Their utilities as items are the ridge's alone; what reads their texts is named."""
    rows = [
        {"prompt": f"{k}?", "chosen": f"yes {k} {'so ' * 40}", "rejected": f"no {k}"}
        | ({"annotator": f"p{k}"} if is_named else {})
        for k in range(30)
    ]
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert main(["items", str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "cannot rank the 60 items: no vote joins the 30 parts" in error
    reads = f"people {path} --vectors words" if is_named else f"audit {path}"
    assert f"hidden-context {reads}. With a --ridge" in error
    assert not (tmp_path / "out").exists()
    assert main(["items", str(path), "--ridge=1", "--family=base", "--show=1"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 800


def test_few_people_are_held_out_in_fewer_folds():
    rng, rows = np.random.default_rng(0), []
    for person in range(6):
        for first, second in ("ab", "bc", "ca"):
            winner = first if rng.random() < 0.7 else second
            rows.append({"first": first, "second": second, "winner": winner, "annotator": person})
    found = compare_families(read_votes(rows), ["base"])
    assert "(people held out, 3 folds)" in str(found)
    with pytest.raises(UserError, match="5 people cannot be held out in 3 folds"):
        compare_families(read_votes([row for row in rows if row["annotator"]]), ["base"])


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["items", str(tmp_path / "none.csv")]) == 2
    assert "none.csv is not a file" in capsys.readouterr().err
