"""What a model reads of a text: by the chat template where it has one, the same each day."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import make_tokenizer, save_tiny_model

from hidden_context import RewardModel, load_comparisons, train
from hidden_context.comparisons.texts import TOOLS
from hidden_context.errors import UserError
from hidden_context.llm.rendering import TEMPLATE_DATE, example_line, rendered, unknown_line

USER = {"role": "user", "content": "bread?"}
REPLY = {"role": "assistant", "content": "yes"}
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
ROWS = [
    {"prompt": f"bread {number}?", "chosen": "mix flour", "rejected": "I would rather not"}
    for number in range(4)
]


def tokenizer(template: str) -> Any:
    made = make_tokenizer()
    made.chat_template = template
    return made


def test_the_day_is_the_same_each_day_and_that_of_the_checkpoint():
    llama = "{% if strftime_now is defined %}{% set day = strftime_now('%d %b %Y') %}{% endif %}"
    asks = tokenizer(
        llama + "{{ day }} {{ messages[0].content }}{{ strftime_now(', %A %-d.%m.%y') }}"
    )
    assert rendered(asks, [USER], "row 1") == "26 Jul 2024 bread?, Friday 26.07.24"
    assert f"{TEMPLATE_DATE:%d %b %Y}" == "26 Jul 2024"
    asks.template_date = date(2030, 1, 2)
    assert rendered(asks, [USER], "row 1") == "02 Jan 2030 bread?, Wednesday 2.01.30"


@pytest.mark.parametrize(
    ("template", "turns", "message"),
    [
        ("{{ raise_exception('no system turn') }}", [USER], "row 7: .* refuses .*no system turn"),
        ("{{ messages[0].missing.part }}", [USER], "row 7: .* refuses the conversation .user.: "),
        ("{{ 'a' + 3 }}", [USER], "row 7: .* refuses the conversation"),
        (TEMPLATE, [USER, {**REPLY, "tool_calls": [{"name": "f"}]}], "does not show tool_calls"),
        (TEMPLATE, [USER, {**REPLY, "reasoning_content": "hm"}], "not show reasoning_content"),
        (TEMPLATE, [{"role": TOOLS, "content": "", TOOLS: [{"name": "f"}]}, USER], "show tools"),
    ],
)
def test_what_a_template_refuses_or_hides_is_refused_by_row(
    template: str, turns: Any, message: str
):
    with pytest.raises(UserError, match=message):
        rendered(tokenizer(template), turns, "row 7")


def test_tools_that_a_template_shows_are_rendered():
    shows = tokenizer("{% if tools %}[{{ tools[0].name }}]{% endif %}" + TEMPLATE)
    turns = [{"role": TOOLS, "content": "", TOOLS: [{"name": "f"}]}, USER]
    assert rendered(shows, turns, "row 1") == "[f]<user>bread?"


def test_a_long_example_is_shown_by_its_ends():
    made = make_tokenizer()
    line = example_line(made, made("a" * 2000)["input_ids"])
    assert "[... 1200 characters ...]" in line
    assert "\n" not in line


def test_words_that_the_tokenizer_does_not_know_are_counted():
    made = make_tokenizer()
    made.unk_token = "<unk>"
    known, unknown = np.array([5, 6, 7]), np.array([made.unk_token_id, 5, 5])
    assert unknown_line(made, [known] * 20) == ""
    line = unknown_line(made, [known, unknown])
    assert line.startswith("17 % of the tokens looked at are unknown to the tokenizer (<unk>)")
    made.eos_token = made.unk_token  # as in GPT-2, where it ends texts
    assert unknown_line(made, [known, unknown]) == ""


@pytest.fixture(scope="module")
def chat_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny_model(tmp_path_factory.mktemp("chat"))
    tokenizer(TEMPLATE).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("render", [None, "plain"])
def test_a_plain_pair_is_read_in_turns_and_scored_as_it_was_trained(
    chat_backbone: Path, tmp_path: Path, render: Any
):
    data = load_comparisons(ROWS)
    options = {"model": str(chat_backbone), "family": "base", "output_dir": tmp_path / "rm"}
    model = train(data, **options, render=render, num_train_epochs=0.5)
    expected = [USER, REPLY] if render is None else "bread?yes"
    as_read = "chat" if render is None else "plain"
    assert model.record["reading"] == {"render": as_read, "template_date": str(TEMPLATE_DATE)}
    again = RewardModel.from_pretrained(tmp_path / "rm")
    assert again.reward(["bread?"], ["yes"]) == again.reward([expected])
    other = "bread?yes" if render is None else [USER, REPLY]
    assert again.reward(["bread?"], ["yes"]) != again.reward([other])
    flipped = "plain" if render is None else "chat"
    assert again.reward(["bread?"], ["yes"], render=flipped) == again.reward([other])
    scored = again.score_comparisons(load_comparisons([ROWS[0]]))
    alone = again.score([ROWS[0]["prompt"]], [ROWS[0]["chosen"]])
    assert float(scored.utility.mean.ravel()[0]) == pytest.approx(float(alone.mean[0]), abs=1e-6)
    rows = [{"prompt": "bread?", "responses": ["yes", "no"]}]
    of_rows = again.score_responses(rows, "rows").utility.mean.ravel()[0]
    assert float(of_rows) == pytest.approx(again.reward([expected])[0], abs=1e-6)


def test_texts_of_equal_token_ids_are_counted_as_equal(chat_backbone: Path, tmp_path: Path):
    trims = tokenizer("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}")
    same = {"prompt": "bread?", "chosen": "mix flour ", "rejected": "mix flour"}
    folder = save_tiny_model(tmp_path / "trims")
    trims.save_pretrained(folder)
    data = load_comparisons([*ROWS, same])
    assert data.account.num_equal == 0
    settings = {"num_train_epochs": 0.5, "output_dir": tmp_path / "rm", "eval_data": data}
    model = train(data, model=str(folder), family="base", **settings)
    assert model.record["counts"]["train"]["equal_texts"] == 1
    scores = model.score_comparisons(data)
    assert scores.record["counts"]["equal_texts"] == 1
    cut = model.score_comparisons(data, max_length=2)
    assert cut.record["counts"]["equal_texts"] >= 1
