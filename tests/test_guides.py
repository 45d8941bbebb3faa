"""The site's own pages: programs run, the notebook is the tutorial, the API is all there."""

import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from notebook import NOTEBOOK, PAGE, cells_of, notebook
from pictures import PICTURES
from test_docs import blocks
from tiny_models import save_tiny_model

import hidden_context as hc
from hidden_context.demo.config import Config
from hidden_context.demo.generated_data import generate, write_data
from hidden_context.demo.reward_models import make_language_model
from hidden_context.records import write_jsonl

DOCS = PAGE.parent


def test_the_notebook_is_the_tutorial():
    assert NOTEBOOK.read_text(encoding="utf-8") == notebook()
    assert json.loads(notebook())["nbformat"] == 4
    code = [cell for cell in cells_of(PAGE.read_text("utf-8")) if cell["cell_type"] == "code"]
    assert len(code) == len(blocks("docs/tutorial.md", "python"))


def test_the_reference_names_the_whole_api():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.MULTILINE)
    assert sorted([*named, "FAMILIES", "RULES", "__version__"]) == sorted(hc.__all__)


def test_every_picture_of_the_ideas_is_made_by_the_command():
    page = (DOCS / "hidden-context.md").read_text(encoding="utf-8")
    shown = re.findall(r"\(pictures/([\w-]+)\.svg\)", page)
    assert sorted(shown) == sorted(PICTURES)
    assert all((DOCS / "pictures" / f"{name}.svg").is_file() for name in shown)


def test_every_page_has_its_place_on_the_site():
    listed = re.findall(r"^[\w/-]+$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert sorted(set(listed) - {"decisions/README"}) == sorted(pages)


def test_the_program_that_compares_two_models_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "gpt2", "gpt2")
    texts = [{"prompt": f"Bread {n}?", "chosen": " flour", "rejected": " no"} for n in range(20)]
    write_jsonl(tmp_path / "pairs.jsonl", texts)
    (program,) = blocks("docs/compare.md", "python")
    exec(program, {})
    assert "against_base" in capsys.readouterr().out


@pytest.mark.slow
def test_the_tutorial_finds_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """To the digit, as the demo: data and models are those of seed 0."""
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    config = Config()
    data = generate(config)
    write_data(data, config.data_dir)
    make_language_model(config, data)
    names: dict[str, object] = {}
    for program in blocks("docs/tutorial.md", "python"):
        exec(program, names)
    printed = capsys.readouterr().out
    for said in ("\n0.61\n", "mean 0.663", "quantile:0.01 0.336"):
        assert said in printed
    better: Any = names["better"]
    gain = better.against_base
    assert (f"{gain.value:.3f}", f"{gain.low:.3f}", f"{gain.high:.3f}") == (
        "0.034",
        "0.020",
        "0.050",
    )
    assert Path("tutorial/page.html").is_file()
