"""Score files of any tool: a number for each response, matched to the pairs of the data."""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import responses_alone
from hidden_context.comparisons.row_files import read_rows
from hidden_context.comparisons.schema import Comparison
from hidden_context.comparisons.texts import parsed
from hidden_context.comparisons.verdicts import bare_name
from hidden_context.errors import UserError
from hidden_context.judging.judgments import Judgments, of_distributions, of_scores
from hidden_context.judging.votes import Votes
from hidden_context.records import json_line, meta_path
from hidden_context.scores.score_files import OF_PAIRS, OUTPUTS, load_scores
from hidden_context.scores.scores import Scores

OF_ONE = ("score", "reward")
"""Columns of the number of one response, beside its text in one of `TEXTS`."""
TEXTS = ("response", "completion", "text")
OF_ALL = ("scores", "rewards")
"""Columns of a list of numbers, one for each response of the row, in the order of its columns."""
IDS = ("id", "pair_id", "comparison_id", "question_id", "index", "Index")
LIKE = 1e-3
"""Two scores of one text may differ by this share of the spread of all: rounding of half floats."""


def read_scores(name: str, path: Path | str, comparisons: Comparisons, votes: Votes) -> Judgments:
    """A reward model's scores from a file of any tool, or from one of ours.

    Rows of a response (`OF_ONE` beside `TEXTS`, perhaps `prompt`) are matched by their texts. Rows
    of a comparison (score_a and score_b, or as the responses are called; or `OF_ALL`) are matched
    by a column of `IDS` that both have, else by their order; whatever texts they repeat must be
    those of the data. Our own score files are matched by texts; those of scalar models are scaled,
    of others P(a ≻ b) is taken as it is.

    Raises:
        UserError: The file cannot be read, or which score belongs to which response is unclear.
    """
    file = Path(path)
    rows = read_rows(file)
    first = next(iter(rows))
    if OF_PAIRS[0] in first or any(str(column).startswith(OUTPUTS) for column in first):
        column = f"{OUTPUTS}{name}"  # of a file with several models, that of this name
        chosen = column if column in first else None
        return of_own(name, load_scores(file, chosen), comparisons, votes)
    if meta_path(file).is_file() and not any(column in first for column in OF_ONE):
        return of_own(name, load_scores(file), comparisons, votes)
    one = next((column for column in OF_ONE if column in first), None)
    text = next((column for column in TEXTS if column in first), None)
    if one is not None and text is not None:
        return _by_text(name, rows, one, text, file, comparisons, votes)
    two = _columns_of_two(comparisons.columns.by_role["responses"])
    known = (names for names in (*two, *((each,) for each in OF_ALL)) if {*names} <= first.keys())
    columns = next(known, None)
    if columns is None:
        of_row = " and ".join(two[0]) + " or " if two else ""
        raise UserError(
            f"{file}: no scores; columns present: {', '.join(map(str, first))}. Give {OF_ONE[0]} "
            f"beside {TEXTS[0]} in a row for each response, or {of_row}a list {OF_ALL[0]} in a row "
            "for each comparison."
        )
    return _by_row(name, rows, columns, file, comparisons, votes)


def of_numbers(
    name: str, numbers: Sequence[Sequence[float]], comparisons: Comparisons, votes: Votes
) -> Judgments:
    """A reward model's scores in memory: for each comparison a number for each of its responses.

    In the order of the row's own columns (or list), and of `chosen`, `rejected` where it has these.

    Raises:
        UserError: There are not as many, or one is not a number.
    """
    if len(numbers) != len(comparisons):
        raise UserError(
            f"{name}: scores of {len(numbers)} comparisons, but there are {len(comparisons)}."
        )
    rows = [{OF_ALL[0]: each} for each in numbers]
    return _by_row(name, rows, (OF_ALL[0],), Path("scores in memory"), comparisons, votes)


def of_own(name: str, scores: Scores, comparisons: Comparisons, votes: Votes) -> Judgments:
    """Scores that this package made; see `read_scores`."""
    known: dict[bytes, np.ndarray] = {}
    at = 0
    for row, size in zip(scores.rows, scores.sizes.tolist(), strict=True):
        texts = row.get("responses") if "chosen" not in row else [row["chosen"], row["rejected"]]
        for text, raw in zip(texts or [None] * size, scores.raw[at : at + size], strict=True):
            if text is not None:
                _keep(known, _key(text, row.get("prompt")), raw, scores.source, scores.raw)
        at += size
    width = scores.raw.shape[1]
    raw, account = _looked_up(known, width, comparisons, scores.source)
    if scores.family.is_scalar:
        utility = scores.family.decode(np.nan_to_num(raw.reshape(-1, width)))
        mean = np.asarray(utility.mean).reshape(-1, 2)
        return of_scores(name, np.where(np.isnan(raw[..., 0]), np.nan, mean), votes, account)
    first, second = (scores.family.decode(np.nan_to_num(raw[:, side])) for side in (0, 1))
    prob = np.asarray(first.prob_preferred_to(second), float)
    prob = np.where(np.isnan(raw).any((1, 2)), np.nan, prob)
    return of_distributions(name, prob, votes, f"{account}; P(a ≻ b) of {scores.family.name}")


def _by_text(
    name: str,
    rows: Collection[Mapping[str, Any]],
    column: str,
    text: str,
    file: Path,
    comparisons: Comparisons,
    votes: Votes,
) -> Judgments:
    known: dict[bytes, np.ndarray] = {}
    numbers = [
        [_finite(row.get(column), f"{file}, row {number}", column)]
        for number, row in enumerate(rows, start=1)
    ]
    every = np.array(numbers)
    for row, number in zip(rows, every, strict=True):
        if row.get(text) is None:
            raise UserError(f"{file}: a row has no {text}; give the response that was scored.")
        _keep(known, _key(row[text], row.get("prompt")), number, file, every)
    scores, account = _looked_up(known, 1, comparisons, file)
    return of_scores(name, scores[..., 0], votes, account)


def _by_row(
    name: str,
    rows: Collection[Mapping[str, Any]],
    columns: Sequence[str],
    file: Path,
    comparisons: Comparisons,
    votes: Votes,
) -> Judgments:
    """Scores of each comparison, in the order of the row's own responses."""
    data = list(comparisons)
    given = list(rows)
    by = next((each for each in IDS if each in given[0] and each in data[0].row), None)
    if by is not None:
        matched = _matched(by, given, data, file, comparisons.source)
    elif len(given) != len(data):
        raise UserError(
            f"{file} has {len(given)} rows and {comparisons.source} {len(data)} comparisons; give "
            f"one for each in their order, or a column of {', '.join(IDS)} that both have."
        )
    else:
        matched = list(given)
    scores: list[list[float]] = []
    for number, (comparison, row) in enumerate(zip(data, matched, strict=True), start=1):
        size = len(comparison.texts)
        values = np.full(size, np.nan)
        if row is not None:
            place = f"{file}, scores of row {number} of the data"
            _check_texts(row, comparison.row, place)
            values = _numbers(row, columns, size, place)[list(comparison.order)]
        scores += [[values[i], values[j]] for i, j in combinations(range(size), 2)]
    missing = sum(row is None for row in matched)
    unused = len(given) - (len(data) - missing) if by is not None else 0
    account = f"{file.name}: matched by {by or 'the order of rows'}"
    account += f"; {missing} comparisons without scores are left out" if missing else ""
    account += f"; {unused} rows of scores belong to no comparison" if unused > 0 else ""
    return of_scores(name, np.array(scores), votes, account)


def _columns_of_two(names: Sequence[str]) -> list[tuple[str, str]]:
    """What the numbers of a row's two responses may be called, by what its columns are called."""
    if len(names) != 2:
        return []
    first, second = map(bare_name, names)
    forms = [form for what in OF_ONE for form in (f"{what}_{{}}", f"{{}}_{what}")]
    return [(form.format(first), form.format(second)) for form in forms]


def _matched(
    by: str,
    given: Sequence[Mapping[str, Any]],
    data: Sequence[Comparison],
    file: Path,
    source: str,
) -> list[Mapping[str, Any] | None]:
    """The row of scores of each comparison by a column of both; None where there is none.

    Raises:
        UserError: Two rows of scores have one name, or two comparisons of different responses; or
            none is of the data.
    """
    by_id = {_id(row.get(by)): row for row in given}
    if len(by_id) < len(given):
        raise UserError(
            f"{file}: {by} is the same in several rows, so it does not say which is which; "
            "make it different in each, or leave it out."
        )
    seen: dict[str, bytes] = {}
    for number, each in enumerate(data, start=1):
        shown = sorted(zip(each.order, each.texts, strict=True), key=lambda both: both[0])
        key = _key([text for _, text in shown], None)
        if seen.setdefault(_id(each.row.get(by)), key) != key:
            raise UserError(
                f"{file}: {by} {each.row.get(by)!r:.40} is that of several comparisons of {source}"
                f" (row {number}, and one before it), so which scores are whose is unknown; give "
                f"both a column of {', '.join(IDS)} that tells them apart, or leave it out."
            )
    matched = [by_id.get(_id(each.row.get(by))) for each in data]
    if not any(matched):
        raise UserError(f"{file}: no {by} is one of {source}.")
    return matched


def _id(value: Any) -> str:
    """A name or number as text, 1.0 as 1."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _numbers(row: Mapping[str, Any], columns: Sequence[str], size: int, place: str) -> np.ndarray:
    """A number for each response of a row, in the row's order; NaN where all are empty."""
    values = [row.get(column) for column in columns]
    if len(columns) == 1:
        cell = values[0]
        cell = parsed(cell, place) if isinstance(cell, str) else cell
        values = list(cell) if isinstance(cell, list | tuple | np.ndarray) else [cell]
        if len(values) != size:
            raise UserError(f"{place}: {len(values)} scores; expected {size}, one a response.")
    if all(value is None for value in values):
        return np.full(size, np.nan)
    return np.array([_finite(value, place, columns[0]) for value in values])


def _finite(value: Any, place: str, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if isinstance(value, bool) or not np.isfinite(number):
        raise UserError(f"{place}: {column} is {str(value)[:40]!r}; expected a finite number.")
    return number


def _check_texts(row: Mapping[str, Any], of_data: Mapping[str, Any], place: str) -> None:
    """Refuse scores beside other texts than those of the data's row."""
    for column in ("prompt", "chosen", "rejected", *(name for name in row if "response" in name)):
        if column in row and column in of_data and row[column] != of_data[column]:
            raise UserError(
                f"{place}: {column} is not the {column} of the data, so the rows do not match; "
                f"put them in one order, or give both a column of {', '.join(IDS)}."
            )


def _key(text: Any, prompt: Any) -> bytes:
    return json_line({"text": text, "prompt": prompt or None})


def _keep(
    known: dict[bytes, np.ndarray], key: bytes, value: np.ndarray, file: Any, every: np.ndarray
) -> None:
    """Remember the score of a text, once.

    Raises:
        UserError: It has another one already.
    """
    before = known.setdefault(key, value)
    if before is not value and np.abs(before - value).max() > LIKE * max(every.std(), 1e-12):
        text = json.loads(key)["text"]
        raise UserError(
            f"{file}: the response {str(text)[:40]!r} has several scores, {before.tolist()} and "
            f"{value.tolist()}; give its prompt beside it, or one score."
        )


def _looked_up(
    known: Mapping[bytes, np.ndarray], width: int, comparisons: Comparisons, file: Any
) -> tuple[np.ndarray, str]:
    """Scores of both texts of each pair of the data, `(pairs, 2, width)`, and how many lack."""
    found: list[np.ndarray] = []
    nothing = np.full(width, np.nan)
    texts: set[bytes] = set()
    used: set[bytes] = set()
    lacking: set[bytes] = set()
    for comparison in comparisons:
        of_row = []
        alone = responses_alone(comparison.texts, comparison.prompt)
        for whole, response in zip(comparison.texts, alone, strict=True):
            keys = [
                _key(text, prompt)
                for text, prompt in (
                    (response, comparison.prompt),
                    (whole, comparison.prompt),
                    (whole, None),
                    (response, None),
                )
            ]
            key = next((each for each in keys if each in known), None)
            texts.add(keys[1])
            if key is None:
                lacking.add(keys[1])
            else:
                used.add(key)
            of_row.append(nothing if key is None else known[key])
        found += [np.stack(both) for both in combinations(of_row, 2)]
    if not used:
        raise UserError(
            f"{file}: none of its {len(known)} texts is a response of {comparisons.source}; texts "
            "(and prompts, where both have them) must be equal."
        )
    account = f"{Path(str(file)).name}: matched by text"
    if lacking:
        account += f"; {len(lacking)} of {len(texts)} responses have no score and are left out"
    if len(known) > len(used):
        account += f"; {len(known) - len(used)} scored texts are not in the data"
    return np.stack(found), account
