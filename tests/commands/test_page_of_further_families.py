"""One page of scored comparisons of the scalar family and of the two last in `FAMILIES`.

These are the families of docs/extending.md when a test adds them.
"""

import re

from saved_results import write_data_dir

from hidden_context.distributions import FAMILIES

NAMES = ("base", *list(FAMILIES)[-2:])


def test_further_families_have_their_place_on_the_page(run, tmp_path):
    write_data_dir(tmp_path, NAMES)
    files = sorted(tmp_path.glob("reward_models/some/both/*/eval_results_both.jsonl"))
    assert len(files) == len(NAMES)
    status, _, error = run("report", *files, "--out", tmp_path / "page.html")
    assert status == 0, error
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for name in NAMES:
        assert name in page
    assert not re.search(r"\b(nan|inf|infinity)\b", page, flags=re.IGNORECASE)
