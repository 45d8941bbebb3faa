"""Fields of a JSON file, told by file and place where one is missing or of another kind."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError


@dataclass(frozen=True, eq=False)
class CheckedFields:
    """A JSON object. All methods raise `UserError` where a field is not what they return."""

    values: Mapping[str, Any]
    file: Path
    place: str = ""
    """Where in the file it is, such as `sets[0].`."""

    def has(self, name: str) -> bool:
        """Whether there is such a field, and not null."""
        return self.values.get(name) is not None

    def text(self, name: str) -> str:
        """A text."""
        return str(self._get(name, str, "a text"))

    def number(self, name: str) -> float:
        """A finite number."""
        return self._finite(self._get(name, (int, float), "a number"), name)

    def numbers(self, name: str) -> list[float]:
        """A list of finite numbers."""
        return [self._finite(each, name) for each in self._get(name, Sequence, "a list of numbers")]

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty where there is none."""
        if not self.has(name):
            return []
        found = self._get(name, Sequence, "a list of texts")
        if not all(isinstance(each, str) for each in found):
            self._refuse(name, "a list of texts", found)
        return list(found)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object whose own fields are not checked."""
        return dict(self._get(name, Mapping, "an object"))

    def fields(self, name: str) -> "CheckedFields":
        """An object."""
        return CheckedFields(self.mapping(name), self.file, f"{self.place}{name}.")

    def list_of_fields(self, name: str) -> list["CheckedFields"]:
        """A list of objects; empty where there is none."""
        if not self.has(name):
            return []
        found = self._get(name, Sequence, "a list of objects")
        for each in found:
            if not isinstance(each, Mapping):
                self._refuse(name, "a list of objects", found)
        return [
            CheckedFields(each, self.file, f"{self.place}{name}[{number}].")
            for number, each in enumerate(found)
        ]

    def _get(self, name: str, kind: Any, expected: str) -> Any:
        if name not in self.values:
            present = ", ".join(map(str, self.values)) or "none"
            raise UserError(
                f"{self.file} has no field {self.place}{name} (it has: {present}); it is damaged "
                "or of another version."
            )
        value = self.values[name]
        is_text_for_list = kind is Sequence and isinstance(value, str)
        if not isinstance(value, kind) or isinstance(value, bool) or is_text_for_list:
            self._refuse(name, expected, value)
        return value

    def _finite(self, value: Any, name: str) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not abs(value) <= sys.float_info.max:  # JSON has whole numbers beyond
            self._refuse(name, "a finite number", value)
        return float(value)

    def _refuse(self, name: str, expected: str, value: Any) -> None:
        raise UserError(
            f"{self.file}: field {self.place}{name} is {str(value)[:40]!r}; expected {expected}."
        )
