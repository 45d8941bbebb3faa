"""From rows to axes: what is read, what changes places, what is refused; the value and its file."""

import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judge_server import KEY, judge_server, says

import hidden_context as hc
from hidden_context.axes.design import WHERE, Design, read_design
from hidden_context.axes.naming import name_axes
from hidden_context.errors import UserError
from hidden_context.relabelling.judge import Judge

WORDS = ("tea", "milk", "bread", "cake", "rice", "soup", "salt", "plum")


def votes(people: int = 40, each: int = 20, seed: int = 0) -> list[dict[str, Any]]:
    """Half of the people prefer the longer response, half the shorter; nothing else counts."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        for _ in range(each):
            number = int(rng.integers(60))
            of_pair = np.random.default_rng(number)
            short, long = (" ".join(of_pair.choice(WORDS, size)) for size in (3, 12))
            flip = rng.random() < 0.5
            wants_long = rng.random() < (0.85 if person % 2 else 0.15)
            rows.append(
                {
                    "prompt": f"What is in dish {number % 12}?",
                    "response_a": long if flip else short,
                    "response_b": short if flip else long,
                    "winner": "a" if wants_long == flip else "b",
                    "annotator": f"p{person}",
                    "country": "odd" if person % 2 else "even",
                }
            )
    return rows


def comparisons(rows: list[dict[str, Any]]) -> hc.Comparisons:
    return hc.load_comparisons(rows)


def design(rows: list[dict[str, Any]], by: str | None = None) -> Design:
    return read_design(comparisons(rows), by=by, num_words=5, features={})


@pytest.fixture(scope="module")
def found() -> hc.Axes:
    return hc.find_axes(comparisons(votes()), num_permutations=99, num_words=5)


def test_a_terminal_is_shown_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    rows = comparisons(votes(20, 10))
    hc.find_axes(rows, num_permutations=99, num_words=0, progress=True)
    assert re.search(r"redrawing who judged what, for \d+ features: +0%.* 0/99 ", screen.getvalue())
    screen.truncate(0)
    hc.find_axes(rows, num_permutations=99, num_words=0)
    assert not screen.getvalue()


def test_the_axis_that_was_planted_is_found_and_said(found: hc.Axes) -> None:
    assert [axis.name for axis in found.axes] == ["length"]
    (axis,) = found.axes
    assert axis.p == 0.01
    assert len(axis.sure("above")) + len(axis.sure("below")) > 25
    assert {name for name in axis.sure("above") if int(name[1:]) % 2 == 0} == set()
    assert 0.3 < axis.share_for < 0.7
    assert "What do 40 annotators differ in?" in str(found)
    assert "“longer” adds log odds of" in str(found)
    assert "<table>" in found._repr_html_()
    assert found.to_frame()["axis"].tolist() == ["length"]
    assert len(found.effects_to_frame()) == 40


def test_exemplars_are_pairs_on_which_both_sides_voted(found: hc.Axes) -> None:
    (axis,) = found.axes
    assert len(axis.exemplars) == 5
    for pair in axis.exemplars:
        assert len(pair.more) > len(pair.less)
        assert pair.prob_by_those_for > 0.5 > pair.prob_by_those_against
        assert pair.votes_for[1] > 0
        assert pair.votes_against[1] > 0
    won = np.array([[*pair.votes_for, *pair.votes_against] for pair in axis.exemplars]).sum(0)
    assert won[0] / won[1] > 0.6 > 0.4 > won[2] / won[3]


def test_a_file_of_axes_is_read_as_it_was_written(found: hc.Axes, tmp_path: Path) -> None:
    path = found.save(tmp_path)
    assert hc.read_axes(path).to_dict() == found.to_dict()
    path.write_text('{"kind": "audit"}')
    with pytest.raises(UserError, match=r"axes.json holds no axes"):
        hc.read_axes(path)


def test_a_page_shows_axes_with_their_pairs(found: hc.Axes, tmp_path: Path) -> None:
    page = hc.write_page([found.save(tmp_path)], tmp_path / "page.html").read_text()
    assert "What annotators differ in" in page
    assert page.count("<svg") == 1
    assert found.axes[0].exemplars[0].more in page
    assert "What annotators differ in" in hc.write_page(found, tmp_path / "2.html").read_text()


def test_what_changes_places_is_the_finest_that_can() -> None:
    rows = votes(10, 20)
    assert design(rows).where == "pair"
    alone = [{**row, "response_a": f"{row['response_a']} {n}"} for n, row in enumerate(rows)]
    assert design(alone).where == "prompt"
    apart = [{**row, "prompt": f"{row['prompt']} {n}"} for n, row in enumerate(alone)]
    assert design(apart).where == "all"
    by_country = design(rows, "country")
    assert by_country.where == "whole annotators"
    assert len(by_country.unit_context) == 10
    by_winner = design([{**row, "task": n % 3} for n, row in enumerate(rows)], "task")
    assert by_winner.where == "annotator"
    assert {by_country.where, by_winner.where} < {*WHERE}


def test_ties_and_rows_without_use_are_counted_and_rankings_stay_whole() -> None:
    rows = votes(10, 20)
    rows[0]["winner"] = "tie"
    rows[1]["country"] = ""
    rows[2]["response_b"] = rows[2]["response_a"]
    read = design(rows, "country")
    assert read.counts["ties"] == read.counts["equal_texts"] == read.counts["without_context"] == 1
    assert read.counts["decided"] == len(read.decisions.wins) == 197
    ranked = [
        {"prompt": "p", "responses": [f"{'tea ' * k}{n}" for k in (1, 3, 9)], "annotator": n % 5}
        for n in range(40)
    ]
    whole = design([{**row, "ranking": [0, 1, 2]} for row in ranked])
    assert (np.bincount(whole.unit) == 3).all()
    assert whole.decisions.weight == pytest.approx(2 / 3)


def test_where_nothing_links_the_votes_of_one_judge_it_is_refused_with_the_reason() -> None:
    rows = [{**row, "annotator": None, "source": "x"} for row in votes(4, 20)]
    with pytest.raises(UserError, match="people who disagree by halves leave the same votes as"):
        hc.find_axes(comparisons(rows))
    with pytest.raises(UserError, match="have 1 different values of 'source'"):
        hc.find_axes(comparisons(rows), by="source")
    with pytest.raises(UserError, match=r"row 1: no column 'age'; `by` can be prompt, or one of"):
        hc.find_axes(comparisons(rows), by="age")


def test_too_few_annotators_in_groups_are_refused() -> None:
    """Three in each of two groups: ten ways, and the most extreme has p = .1."""
    message = r"can be assigned in only 10 ways that differ.* Leave out `by`: what the annotators"
    with pytest.raises(UserError, match=message):
        hc.find_axes(comparisons(votes(6, 20)), by="country")
    assert hc.find_axes(comparisons(votes(12, 20)), by="country", num_permutations=99).axes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_permutations": 20}, "a level of 0.02 takes 49 or more"),
        ({"level": 0.0}, "level is 0.0; expected a probability"),
        ({"num_words": -1}, "num_words is -1; expected 0 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        hc.find_axes(comparisons(votes(4, 20)), **settings)


def test_a_language_model_names_axes_and_changes_nothing_else(
    found: hc.Axes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with judge_server() as server:
        server.answer = lambda body, before: says('"Brevity"\n')
        named = name_axes(found, Judge(model="m", base_url=server.url))
        asked = server.bodies[0]["messages"][0]["content"]
        assert found.axes[0].exemplars[0].more in asked
        server.answer = lambda body, before: says("")
        with pytest.raises(UserError, match="gave no name for 'length': stop"):
            name_axes(found, Judge(model="m", base_url=server.url))
    assert named.axes[0].called == "Brevity"
    assert "Axis 1: Brevity (length)" in str(named)
    assert named.axes[0].effects == found.axes[0].effects


def test_the_program_of_the_page_runs_and_finds_length(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "axes.md").read_text()
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert "Axis 1: length" in capsys.readouterr().out


def test_values_of_a_column_are_read_as_names_are() -> None:
    rows = votes(10, 20)
    for row in rows:
        row["country"] = 1 if row["country"] == "odd" else 2
    rows[0]["country"], rows[20]["country"] = "2 ", 1.0
    read = design(rows, "country")
    assert read.contexts == ("2", "1")
    assert (read.where, read.notes) == ("whole annotators", ())
    rows[0]["country"] = [2]
    with pytest.raises(UserError, match=r"row 1: country is a list '\[2\]'; expected a name"):
        design(rows, "country")


def test_values_whose_names_are_alike_are_said_with_the_annotator_who_has_several(
    tmp_path: Path,
) -> None:
    rows = votes(10, 20)
    rows[45]["country"] = "Even."  # the third person's
    read = design(rows, "country")
    assert (read.where, len(read.contexts)) == ("annotator", 3)
    alike, several = read.notes
    assert (
        alike
        == "values of country whose names are alike are read as different ones: 'Even.' and 'even'"
    )
    assert several.startswith(
        "1 of 10 annotators have several values of country, such as 'p2' ('even' and 'Even.'), so "
    )
    with pytest.raises(
        UserError, match=r"only 20 ways that differ.*'Even.' and 'even'\. 1 of 10 an"
    ):
        hc.find_axes(comparisons(rows), by="country", num_permutations=99, num_words=0)
    rows[85]["country"] = "Even."
    read = design(rows, "country")
    found = hc.find_axes(comparisons(rows), by="country", num_permutations=99, num_words=0)
    assert found.notes == read.notes
    assert "What do 3 values of country differ in?" in str(found)
    assert "not tested. Values of country whose names are alike" in str(found)
    page = hc.write_page(found, tmp_path / "page.html").read_text()
    assert "What values of country differ in" in page
    assert design(votes(10, 20), "prompt").notes == ()
