"""Files as people write them: columns, verdicts and names by other words; what is said aloud."""

import json
from pathlib import Path
from typing import Any

import pytest
from layouts import LAYOUTS

from hidden_context.comparisons.columns import READ_COLUMNS
from hidden_context.comparisons.comparisons import Comparisons, load_comparisons
from hidden_context.comparisons.misspelt_columns import nearest_column
from hidden_context.comparisons.verdicts import TIE, better_of
from hidden_context.errors import UserError

ASK = "Where is the capital of France?"
PLAIN = {"chosen": "Paris", "rejected": "Nice"}
A_B = {"response_a": "Paris", "response_b": "Nice"}
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def read(*rows: dict[str, Any], **options: Any) -> Comparisons:
    return Comparisons.from_rows(rows, "data", **options)


@pytest.mark.parametrize(
    ("verdict", "better"),
    [
        ("A", "a"),
        (" A. ", "a"),
        ("Response B", "b"),
        ("response_b", "b"),
        ("model_a", "a"),
        ("Answer B is better", "b"),
        ("[[A]]", "a"),
        ("option (B)", None),
        ("A > B", "a"),
        ("B>A", "b"),
        ("A < B", "b"),
        ("Response A > Response B", "a"),
        ("A>>B", None),
        ("A > A", None),
        ("A is much better", None),
        ("not A", None),
        ("ab", None),
        ("", None),
        ("No preference", TIE),
        ("no-difference", TIE),
        ("no", None),
        ("=", TIE),
        ("A = B", TIE),
        ("tie (bothbad)", TIE),
        ("equally good", TIE),
        ("Both are weak, but B is better", None),
        ("Both are equally good.", TIE),
        ("Neither is better", TIE),
        ("Neither, but slightly left", None),
        ("equal, the second is shorter", None),
        ("tie a b", None),
        ("“A”", "a"),
    ],
)
def test_a_verdict_names_one_of_two_or_a_tie_or_nothing(verdict: str, better: str | None):
    assert better_of(verdict, ("a", "b")) == better


@pytest.mark.parametrize("column", ["preferred", "preference", "choice", "verdict", "better"])
def test_other_names_of_the_winner_are_read_as_it(column: str):
    won, lost = read(A_B | {column: "Response A"}, A_B | {column: "B"})
    assert (won.chosen, lost.chosen) == ("Paris", "Nice")
    strong = read(A_B | {column: "a", "strength": 2}, A_B | {column: "b", "strength": 1})
    assert strong[0].outcome.shares == (0, 0, 0, 0, 1)


@pytest.mark.parametrize("kind", ["answer", "completion", "output"])
@pytest.mark.parametrize("sides", ["ab", "AB", "12", "01"])
def test_answers_and_outputs_are_responses(kind: str, sides: str):
    row = {f"{kind}_{sides[0]}": "Paris", f"{kind}_{sides[1]}": "Nice"}
    assert read(row | {"winner": sides[1]})[0].chosen == "Nice"


def test_responses_a_and_b_may_be_counted_from_one_if_some_row_says_2():
    rows = [A_B | {"winner": number} for number in (1, 2, "1.0", "tie")]
    assert [comparison.chosen for comparison in read(*rows)] == ["Paris", "Nice", "Paris", "Paris"]
    for numbers in ((1, 1), (0, 1), (0, 0)):
        with pytest.raises(UserError, match="whether they are counted from 0 or from 1 is unknown"):
            read(*(A_B | {"winner": number} for number in numbers))
    for numbers, held in (((1, 2, 0), "0, 1 and 2"), (("a", 2, 0), "0 and 2")):
        held += ", of responses response_a and response_b, so whether 0 is a tie is unknown; write"
        with pytest.raises(UserError, match=held):
            read(*(A_B | {"winner": number} for number in numbers))


@pytest.mark.parametrize("named", ["context", "input", "query", "instruction", "conversation"])
def test_a_text_beside_what_is_taken_for_the_prompt_is_refused(named: str):
    rows = [PLAIN | {named: "shopping", "what_they_said": ASK}] * 3
    with pytest.raises(UserError, match=f"'{named}' is read as what was asked, and 'what_they_s"):
        read(*rows)
    ignored = read(*rows, ignore_columns=["what_they_said"])
    assert ignored[0].chosen == "shoppingParis"
    with pytest.raises(UserError, match=f"column '{named}' may be a prompt, and user_message does"):
        read(*(PLAIN | {named: "shopping", "user_message": ASK},) * 3)


def test_texts_of_scripts_without_spaces_are_texts():
    with pytest.raises(UserError, match="no column says what was asked, and 'q' holds texts"):
        read(*(PLAIN | {"q": "法国的首都在哪里"},) * 3)


def test_comments_on_a_comparison_are_carried_beside_a_prompt():
    row = PLAIN | {"prompt": ASK, "rationale": "It is the capital of it.", "raw_label": "x y z w"}
    assert read(row).columns.carried == ("rationale", "raw_label")


@pytest.mark.parametrize(
    "cell",
    [
        json.dumps({"messages": CHAT}),
        json.dumps({"text": "Hello"}),
        json.dumps([{"speaker": "bot", "text": "Hello"}]),
        json.dumps(json.dumps(CHAT)),
        repr({"messages": CHAT}),
        json.dumps(json.dumps({"text": "Hello"})),
    ],
)
def test_chats_in_a_form_that_nothing_reads_are_refused(cell: str):
    for rows in ([PLAIN | {"chosen": cell}], [PLAIN] * 5 + [PLAIN | {"chosen": cell}] * 5):
        number = 1 if len(rows) == 1 else 6
        with pytest.raises(UserError, match=f"row {number}, column 'chosen': .*hold an object"):
            read(*rows)


def test_conversations_written_in_half_of_the_rows_are_refused():
    written = {"chosen": json.dumps(CHAT), "rejected": json.dumps(CHAT[:1] + CHAT[:1])}
    with pytest.raises(UserError, match="row 1, column 'chosen': a conversation is written as te"):
        read(*[written] * 5, *[PLAIN] * 5)


def test_answers_in_json_are_what_was_said():
    answer = json.dumps({"name": "capital_of", "arguments": {"country": "France"}})
    assert read(PLAIN | {"chosen": answer})[0].chosen == answer


def said(*rows: dict[str, Any]) -> str:
    return read(*({"prompt": ASK} | row for row in rows)).account.lines().get("to be known", "")


def test_what_is_to_be_known_of_the_rows_is_said():
    assert said(PLAIN, PLAIN | {"chosen": "Lyon"}) == ""
    assert said(PLAIN | {"chosen": " "}, PLAIN) == "1 row with an empty response (first: row 1)"
    ranked = {
        "responses": ["Paris", "Rome"],
        "rewards": [2, 1],
        "ranking": [0, 1],
        "chosen_index": 0,
    }
    assert "2 rows ranked by best-of, so by reward models and not by" in said(ranked, ranked)
    assert "1 row of weight 0, which count for" in said(
        PLAIN | {"weight": 0}, PLAIN | {"weight": 1}
    )
    assert "all rows are ties" in said(*[A_B | {"winner": "tie"}] * 2)
    assert "1 row equal to another in all that is read (first: row 3)" in said(
        PLAIN, PLAIN | {"chosen": "Lyon"}, PLAIN
    )
    a, b = (A_B | {"winner": winner, "annotator": "x"} for winner in "ab")
    assert "1 pair of responses of which one annotator prefers" in said(a, b)
    assert "one annotator" not in said(a, b | {"annotator": "y"})
    swapped = {"response_a": "Nice", "response_b": "Paris", "winner": "b", "annotator": "x"}
    assert said(a, swapped) == ""
    with pytest.raises(UserError, match="the weights of all 2 rows are 0"):
        read(*[PLAIN | {"weight": 0}] * 2)


def test_annotators_are_counted_and_those_whose_names_are_alike_are_named():
    names = ["r01", "R01", "r01 ", 1, 1.0, "01", None]
    data = read(*(PLAIN | {"rater": name} for name in names))
    assert [comparison.annotator for comparison in data] == [
        "r01",
        "R01",
        "r01",
        "1",
        "1",
        "01",
        None,
    ]
    lines = data.account.lines()
    assert lines["annotator"] == "rater (4 people, 1 rows without one)"
    assert (
        "annotators whose names are alike are read as different ones: '01' and '1'; 'R01' and 'r01'"
        in (lines["to be known"])
    )


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("Ann\u200bb", "annb", r"'Ann\u200bb' and 'annb'"),
        ("so\u00adren", "soren", r"'soren' and 'so\xadren'"),
        ("Zoe\u0308", "Zo\u00eb", r"'Zoe\u0308' and " + "'Zo\u00eb'"),
        ("\uff21\uff11", "a1", r"'a1' and '\uff21\uff11'"),
        ("Japan.", "Japan", "'Japan' and 'Japan.'"),
        ("U.S", "US", None),
    ],
)
def test_names_are_alike_whatever_their_unicode_form(one: str, other: str, shown: str | None):
    told = said(*(PLAIN | {"annotator": name} for name in (one, other, "c")))
    expected = f"annotators whose names are alike are read as different ones: {shown}"
    assert (expected in told) if shown else ("alike" not in told)


def test_the_account_names_split_and_files(tmp_path: Path):
    (tmp_path / "dev.jsonl").write_text(json.dumps(PLAIN))
    source = load_comparisons(tmp_path, split="dev").account.lines()["source"]
    assert source == f"{tmp_path}, split dev (dev.jsonl)"
    data = load_comparisons(tmp_path / "dev.jsonl")
    assert data.account.lines()["source"] == str(tmp_path / "dev.jsonl")
    joined = Comparisons.concatenate([data, load_comparisons(tmp_path, split="dev")])
    assert joined.account.lines()["source"] == f"{tmp_path / 'dev.jsonl'} + {source}"


def test_a_cell_that_is_empty_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "data.csv").write_text("prompt,chosen,rejected\nq,,b\nq,a,b\n")
    with pytest.raises(
        UserError, match=r"row 1, column 'chosen': .*found nothing; leave the row out"
    ):
        load_comparisons(tmp_path / "data.csv")


MISSPELT = {
    **{"prefered": "preferred", "preffered": "preferred", "winer": "winner", "labell": "label"},
    **{"lable": "label", "overall_preferance": "overall_preference", "soft_lable": "soft_label"},
    **{
        "choise": "choice",
        "probabilty": "probability",
        "strenght": "strength",
        "raking": "ranking",
    },
    **{
        "promt": "prompt",
        "sytem_prompt": "system_prompt",
        "qestion": "question",
        "querry": "query",
    },
    **{"choosen": "chosen", "respones_a": "response_a", "conversation_text_a": None},
    **{"anotator": "annotator", "annotater_id": "annotator_id"},
    **{"gruop": "group", "wieght": "weight", "preferedResponse": "preferred_response"},
    **{"system_promt": "system_prompt", "better_responce": "better_response", "vots_a": "votes_a"},
}
"""Names of columns, and what each is a slip away from; None where nothing is near."""
ORDINARY = (
    *("id", "idx", "prompt_id", "question_id", "messageId", "post_id", "turn", "tstamp", "source"),
    *("model_a", "model_b", "chosen_model", "rejected_model", "chosen_rating", "score1", "score_a"),
    *("language", "lang", "timestamp", "domain", "individual_preference", "original_chosen"),
    *("labelling_model", "generations", "order", "rating", "ratings", "status", "notes", "content"),
    *("evaluation_session_id", "evaluation_order", "full_conversation", "conv_metadata", "is_code"),
    *("category_tag", "prompt_source", "response_0_source", "is_response_0_safe", "anony"),
    *("response_0_severity_level", "response_0_sha256", "upvote_ratio", "c_root_id_A"),
    *("created_at_utc_A", "score_A", "seconds_difference", "score_ratio", "turns", "num_responses"),
    *("good_natured", "num_correct", "total_completions", "models", "additional_metadata", "user"),
    *("pair_id", "original_id", "response_model", "quotes_0", "tokens_0", "raw_preference"),
    *("datasplit", "sample_id", "time_per_example", "message_id", "parent_id", "created_date"),
    *("role", "review_count", "rank", "summaries", "batch", "extra", "conversation_id"),
    *("interaction_id", "model_response", "if_chosen", "comparison_id", "age", "gender", "country"),
    *("age_group", "education", "reference", "rate", "rated", "height", "later", "letter", "water"),
    *(
        "annotation",
        "annotated",
        "labeled",
        "raters",
        "groups",
        "responses_given",
        "answer",
        "test",
    ),
    *("strengths", "weaknesses", "choices", "subjective", "participation", "probably", "split"),
    *(
        "response",
        "text",
        "title",
        "meta",
        "hash",
        "date",
        "level",
        "table",
        "rejected_by",
        "state",
    ),
    *(
        "prompt_中",
        "num_turns",
        "chosen_tokens",
        "length_a",
        "input_ids",
        "winner_score",
        "outputs",
    ),
)
"""Names of columns of public data and of tables that people keep, of which none is a slip."""


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_misspelt_column_is_refused_with_the_nearest(name: str, meant: str | None):
    if meant is None:
        assert nearest_column(name, READ_COLUMNS) is None
        return
    match = f"nothing reads a column '{name}'; did you mean '{meant}'. Rename it, or name it in ig"
    row = PLAIN | {"prompt": ASK, name: "a"}
    with pytest.raises(UserError, match=match):
        read(row)
    assert read(row, ignore_columns=[name]).columns.ignored == (name,)


def test_ordinary_names_are_not_taken_for_slips():
    assert {name: nearest_column(name, READ_COLUMNS) for name in ORDINARY} == dict.fromkeys(
        ORDINARY
    )
    of_layouts = {name for row in LAYOUTS.values() for name in row}
    assert not {name for name in of_layouts - READ_COLUMNS if nearest_column(name, READ_COLUMNS)}
    with pytest.raises(UserError, match=r"says which response was preferred \(read are"):
        read(A_B | {"prompt": ASK, "country": "France"})


def test_two_columns_of_people_may_not_contradict_each_other():
    for row in (
        {"annotator": "x", "rater": "x "},
        {"annotator": 1, "rater": 1.0},
        {"annotator": "x", "rater": ""},
        {"rater": "x"},
        {"group": "x", "annotator_group": "x"},
    ):
        (one,) = read(PLAIN | row)
        assert (one.annotator or one.group) in ("x", "1")
    rows = [{"annotator": "x", "rater": "x"}, {"annotator": "x", "rater": "y"}]
    differ = r"row 2: annotator is 'x' and rater is 'y', so which is meant as the annotator is amb"
    with pytest.raises(UserError, match=differ):
        read(*(PLAIN | row for row in rows))
    assert read(*(PLAIN | row for row in rows), ignore_columns=["rater"])[1].annotator == "x"
    with pytest.raises(UserError, match="group is 'x' and group_id is '1', so which is meant as"):
        read(PLAIN | {"group": "x", "group_id": 1})
