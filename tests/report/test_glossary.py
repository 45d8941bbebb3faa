"""What words mean: each name of a measure leads to its entry, wherever the page says it."""

import json
import re
from pathlib import Path

import pytest
from page_samples import audit_of

from hidden_context.report.glossary import GLOSSARY, Words
from hidden_context.report.page import render
from hidden_context.report.read_results import as_results

linked = Words().linked
NAMES = {name: entry.anchor for entry in GLOSSARY for name in entry.names}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_to_its_entry(name: str):
    assert f'<a class="word" href="#word-{NAMES[name]}">{name}</a>' in linked(f"The {name} is 1.")


def test_entries_have_anchors_of_their_own_and_no_name_has_two():
    assert len({entry.anchor for entry in GLOSSARY}) == len(GLOSSARY)
    assert len(NAMES) == sum(len(entry.names) for entry in GLOSSARY)


def test_the_first_mention_is_linked_and_the_rest_is_text():
    text = linked("r² here, r² there, <b>accuracy</b>, inaccuracy")
    assert text.count("#word-r2") == text.count("#word-accuracy") == 1
    assert "&lt;b&gt;<a" in text
    assert "inaccuracy" in text


def test_all_of_a_long_name_is_linked():
    assert ">with length regressed out</a>" in linked("with length regressed out .5")


def test_answers_link_every_measure_that_they_name_and_the_glossary_is_not_folded(tmp_path: Path):
    (tmp_path / "audit.json").write_text(json.dumps(audit_of(("both",))))
    page = render(as_results(tmp_path))
    (box,) = re.findall(r'<div class="answer.*?</div>', page, re.DOTALL)
    paragraphs = re.findall(r"(?:<p |<li>).*?(?:</p>|</li>)", box, re.DOTALL)
    assert len(paragraphs) > 2
    for paragraph in paragraphs:
        plain = re.sub(r'<a class="word".*?</a>', "", re.sub(r"<a href.*?</a>", "", paragraph))
        linked_here = set(re.findall(r"#word-([\w-]+)", paragraph))
        for name, anchor in NAMES.items():
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", plain, re.IGNORECASE):
                assert anchor in linked_here, (name, paragraph)
    before = page[: page.index('id="words"')]
    assert before.count("<details") == before.count("</details>")
    for anchor in set(re.findall(r'href="#word-([\w-]+)"', page)):
        assert page.count(f'id="word-{anchor}"') == 1


def test_a_page_explains_the_words_that_it_links_and_no_others(tmp_path: Path):
    (tmp_path / "audit.json").write_text(json.dumps(audit_of(("both",))))
    page = render(as_results(tmp_path))
    links = set(re.findall(r'href="#word-([\w-]+)"', page))
    explained = set(re.findall(r'id="word-([\w-]+)"', page))
    assert explained - links == {entry.anchor for entry in GLOSSARY if not entry.names}
    assert "rand" not in explained  # no people


def test_numbers_below_0_have_a_true_minus_and_words_keep_their_hyphens():
    text = "log-odds -0.1 (-0.2 to +0.1), |2P - 1|, gpt-4 and 2-1"
    shown = re.sub("<[^>]+>", "", str(linked(text)))
    assert shown == "log-odds −0.1 (−0.2 to +0.1), |2P − 1|, gpt-4 and 2-1"
