"""Texts of data on the page: nothing is interpreted, nothing is unseen, nothing is lost."""

import json
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidden_context.report.shown_text import (
    BEGINNING,
    LONG,
    shown,
    split_prompt,
    with_visible_controls,
    without_unseen,
)

UNSEEN = {
    "NUL": 0x00,
    "bell": 0x07,
    "carriage return": 0x0D,
    "escape": 0x1B,
    "delete": 0x7F,
    "next line": 0x85,
    "soft hyphen": 0xAD,
    "right-to-left mark": 0x200F,
    "right-to-left override": 0x202E,
    "isolate": 0x2066,
    "end of isolate": 0x2069,
    "zero-width space": 0x200B,
    "word joiner": 0x2060,
    "byte order mark": 0xFEFF,
    "not a character": 0xFFFF,
    "high surrogate": 0xD83D,
    "low surrogate": 0xDE00,
    "letter of a tag": 0xE0041,
}
SEEN = {
    "Arabic": "مرحبا بالعالم",
    "Hebrew": "שלום",
    "Persian with a non-joiner": "می\u200cخواهم",
    "family of three": "👩\u200d👩\u200d👧",
    "emoji with its style": "❤\ufe0f",
    "accents apart": "e\u0301",
    "several lines": "one\n\ttwo",
}
MARKUP = ["<", ">", "&", '"', "'", "&amp;", "&#0;", "<script>", "</style>", "<!--", "]]>", "\r\n"]
ANY_CHARACTER = st.characters(exclude_categories=())
"""Lone surrogates too."""
ANY_TEXT = st.lists(
    st.one_of(
        st.text(ANY_CHARACTER, max_size=8),
        st.sampled_from(MARKUP),
        st.sampled_from(list(map(chr, UNSEEN.values()))),
    ),
    max_size=12,
).map("".join)


class ReadBack(HTMLParser):
    """What an HTML parser makes of a shown text, numbers turned into their characters again."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags, self._is_number = "", [], False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, *attrs))
        self._is_number = True

    def handle_endtag(self, tag: str) -> None:
        self._is_number = False

    def handle_data(self, data: str) -> None:
        self.text += chr(int(data.removeprefix("U+"), 16)) if self._is_number else data


@given(ANY_TEXT)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_an_html_parser_reads_back_the_text_and_numbers_of_what_is_unseen(text: str):
    found = ReadBack(str(with_visible_controls(text)))
    assert found.text == text.replace("\r\n", "\n")
    assert set(found.tags) <= {("span", ("class", "unseen"))}


@given(ANY_TEXT)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_text_can_be_written_and_holds_no_character_of_control_or_direction(text: str):
    for page in (with_visible_controls(text), without_unseen(text)):
        page.encode()
        assert "Cs" not in {unicodedata.category(each) for each in page}
        assert {each for each in page if unicodedata.category(each) == "Cc"} <= {"\n", "\t"}
        turning = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
        assert not turning & {unicodedata.bidirectional(each) for each in page}


@pytest.mark.parametrize("number", UNSEEN.values(), ids=UNSEEN)
def test_what_is_unseen_is_shown_by_number(number: int):
    shown_as = f'a<span class="unseen">U+{number:04X}</span>b'
    assert with_visible_controls(f"a{chr(number)}b") == shown_as
    assert without_unseen(f"a{chr(number)}b") == f"a⟦U+{number:04X}⟧b"


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN)
def test_what_can_be_seen_stays(text: str):
    assert with_visible_controls(text) == text
    assert without_unseen(text) == text


def test_markup_is_shown_and_not_interpreted():
    found = with_visible_controls("<script>alert('x')</script> &amp; \"")
    assert found == "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp;amp; &#34;"


def test_an_emoji_cut_in_two_is_shown_as_its_two_halves():
    halves = json.loads('"\\ud83d x \\ude00"')
    assert with_visible_controls(halves).count("unseen") == 2


# Prompts


def test_messages_that_both_conversations_begin_with_are_the_prompt():
    question, answer = {"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}
    other, more = {"role": "assistant", "content": "b"}, {"role": "user", "content": "!"}
    found = split_prompt([question, answer], [question, other], None)
    assert found == ([question], [answer], [other])
    found = split_prompt([question, answer, more, answer], [question, answer, more, other], None)
    assert found == ([question, answer, more], [answer], [other])


def test_a_response_remains_of_equal_conversations():
    both = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}]
    assert split_prompt(both, both, None) == (both[:1], both[1:], both[1:])
    assert split_prompt(both[:1], both, None) == (None, both[:1], both)


def test_a_prompt_column_is_kept_beside_messages_that_lack_it():
    prompt = [{"role": "user", "content": "first"}]
    start = {"role": "assistant", "content": "shared"}
    ends = [{"role": "user", "content": end} for end in "ab"]
    for given_prompt in (prompt, "first"):
        (shared, *rest) = split_prompt([start, ends[0]], [start, ends[1]], given_prompt)
        assert shared == [*prompt, start]
        assert rest == [[ends[0]], [ends[1]]]
        chosen, rejected = ([*prompt, start, end] for end in ends)
        found = split_prompt(chosen, rejected, given_prompt)
        assert found == ([*prompt, start], [ends[0]], [ends[1]])


def test_a_prompt_column_is_taken_off_texts_that_begin_with_it():
    assert split_prompt("Q: A", "Q: B", "Q: ") == ("Q: ", "A", "B")
    assert split_prompt("A", "B", "Q: ") == ("Q: ", "A", "B")
    assert split_prompt("Q: A", "B", "Q: ") == ("Q: ", "Q: A", "B")


def test_the_prompt_of_a_dialogue_in_text_form_ends_before_the_last_response():
    opening = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: more"
    chosen, rejected = f"{opening}\n\nAssistant: yes", f"{opening}\n\nAssistant: no"
    assert split_prompt(chosen, rejected, None) == (f"{opening}\n\nAssistant:", " yes", " no")


def test_dialogues_that_part_earlier_have_no_prompt_that_can_be_told():
    chosen = "\n\nHuman: hi\n\nAssistant: a\n\nHuman: x\n\nAssistant: yes"
    rejected = "\n\nHuman: hi\n\nAssistant: b\n\nHuman: y\n\nAssistant: no"
    assert split_prompt(chosen, rejected, None) == (None, chosen, rejected)


@pytest.mark.parametrize("nothing", [None, "", []])
def test_texts_without_anything_in_common_have_no_prompt(nothing: Any):
    assert split_prompt("a", "b", nothing) == (None, "a", "b")
    assert split_prompt([{"role": "user"}], "b", nothing) == (None, [{"role": "user"}], "b")


DIALOGUES = st.lists(st.sampled_from(["x", "y", "\n\nAssistant:", "\n\nHuman: "])).map("".join)
PROMPTS = st.one_of(st.none(), DIALOGUES, st.just([{"role": "user", "content": "?"}]))


@given(DIALOGUES, DIALOGUES, PROMPTS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_splitting_off_a_prompt_loses_nothing(chosen: str, rejected: str, prompt: Any):
    opening, *rest = split_prompt(chosen, rejected, prompt)
    for whole, part in zip((chosen, rejected), rest, strict=True):
        was_taken_off = isinstance(opening, str) and opening + str(part) == whole
        assert was_taken_off or (part == whole and opening == (prompt or None))
    if prompt:
        assert opening == prompt


# What is shown


def test_a_conversation_is_shown_as_turns_and_a_text_as_one_without_role():
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    assert shown(messages).turns == (("user", "?"), ("assistant", "!"))
    assert shown("\n\ntext\n").turns == (("", "text"),)


@pytest.mark.parametrize(
    ("content", "as_shown"),
    [
        ([{"type": "text", "text": "é"}], '[{"type": "text", "text": "é"}]'),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        (3.5, "3.5"),
        (None, ""),
    ],
)
def test_contents_that_are_no_text_are_shown_as_json(content: Any, as_shown: str):
    assert shown([{"role": "user", "content": content}]).turns == (("user", as_shown),)
    if not isinstance(content, list):
        assert shown(content).turns == (("", as_shown),)


def test_what_is_no_message_is_shown_as_it_is():
    assert shown(["plain", {"content": "no role"}, 7]).turns == (  # type: ignore[list-item]
        ("", "plain"),
        ("", "no role"),
        ("", "7"),
    )


def test_long_texts_are_folded_to_their_beginning():
    assert not shown("x" * LONG).is_long
    text = shown("x" * (LONG + 1))
    assert text.is_long
    assert text.beginning == "x" * BEGINNING + " …"
    assert text.num_characters == LONG + 1


def test_the_turns_of_a_conversation_are_long_together():
    turns = [{"role": "user", "content": "y" * LONG}, {"role": "assistant", "content": "z"}]
    assert not shown(turns[:1]).is_long
    assert shown(turns).is_long
