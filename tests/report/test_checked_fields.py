"""Fields that are checked: what is there is returned, what is not is told by file and place."""

import json
from pathlib import Path
from typing import Any

import pytest

from hidden_context.errors import UserError
from hidden_context.report.checked_fields import CheckedFields

FILE = Path("folder/some.json")


def fields(**values: Any) -> CheckedFields:
    return CheckedFields(values, FILE)


def test_what_is_there_is_returned():
    found = fields(
        text="words",
        whole=3,
        part=-0.5,
        list=[1, 2.5],
        names=["a", "b"],
        object={"a": None},
        none=None,
        many=[{}],
    )
    assert found.text("text") == "words"
    assert (found.number("whole"), found.number("part")) == (3.0, -0.5)
    assert found.numbers("list") == [1.0, 2.5]
    assert found.texts("names") == ["a", "b"]
    assert found.mapping("object") == {"a": None}
    assert len(found.list_of_fields("many")) == 1
    assert [found.has(name) for name in ("text", "none", "absent")] == [True, False, False]


def test_a_list_that_is_not_there_is_empty():
    assert fields(none=None).list_of_fields("none") == []
    assert fields().list_of_fields("absent") == []
    assert fields(none=None).texts("none") == fields().texts("absent") == []


@pytest.mark.parametrize("method", ["text", "number", "numbers", "mapping", "fields"])
def test_a_missing_field_is_told_with_those_that_are_there(method: str):
    with pytest.raises(UserError) as caught:
        getattr(fields(one=1, two=2), method)("wanted")
    message = str(caught.value)
    assert message.startswith("folder/some.json has no field wanted (it has: one, two)")
    with pytest.raises(UserError, match=r"\(it has: none\)"):
        getattr(fields(), method)("wanted")


WRONG = {
    "text": [1, None, ["a"], {"a": 1}, True],
    "number": ["1", None, [1], True, float("nan"), float("inf"), -float("inf")],
    "numbers": [1, "123", None, {"0": 1}, [1, "2"], [1, None], [True], [float("nan")]],
    "texts": [1, "ab", {"a": "b"}, ["a", 1], [None], True],
    "mapping": [1, "a", None, [["a", 1]], True],
    "fields": [1, "a", None, [], True],
    "list_of_fields": [1, "ab", {"a": {}}, [{}, 1], [[{}]], True],
}


@pytest.mark.parametrize(
    ("method", "value"), [(method, value) for method, values in WRONG.items() for value in values]
)
def test_a_field_of_another_kind_is_told_with_its_value(method: str, value: Any):
    with pytest.raises(UserError) as caught:
        getattr(fields(wanted=value), method)("wanted")
    message = str(caught.value)
    assert message.startswith("folder/some.json: field wanted is ")
    assert "; expected " in message
    assert "\n" not in message


def test_a_huge_number_is_told_and_not_a_crash():
    value = json.loads("1" + "0" * 400)
    with pytest.raises(UserError, match="field wanted is"):
        fields(wanted=value).number("wanted")


def test_a_long_value_is_cut():
    with pytest.raises(UserError) as caught:
        fields(wanted="x" * 10_000).number("wanted")
    assert len(str(caught.value)) < 200


def test_the_place_of_a_nested_field_is_told():
    found = fields(sets=[{}, {"families": [{"std": {"edges": [0, "a"]}}]}])
    family = found.list_of_fields("sets")[1].list_of_fields("families")[0]
    place = r"some.json: field sets\[1\].families\[0\].std.edges is 'a'; expected a finite number"
    with pytest.raises(UserError, match=place):
        family.fields("std").numbers("edges")
    with pytest.raises(UserError, match=r"has no field sets\[1\].families\[0\].std.counts"):
        family.fields("std").numbers("counts")
