"""Answers that were paid for, kept in a journal by what was asked."""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hidden_context.errors import UserError
from hidden_context.journal import Journal
from hidden_context.records import FORMAT_VERSION
from hidden_context.relabelling.judge import Answer
from hidden_context.relabelling.questions import Question
from hidden_context.relabelling.verdicts import read_verdict

JOURNAL = "answers.jsonl"
HEADER = {"holds": "answers of judges", "format_version": FORMAT_VERSION}
_FIELDS = {field.name for field in fields(Answer)}


class Answers:
    """All answers of a folder, of whatever judge; each is on the disk when `keep` returns."""

    def __init__(self, folder: Path) -> None:
        """Read the answers that are there; the last to a question counts.

        Raises:
            UserError: The journal is of something else, or a line of it is damaged.
        """
        self._journal = Journal(folder / JOURNAL, HEADER, chunk_size=1)
        self._lock = threading.Lock()
        self._answers: dict[str, Answer] = {}
        self.endpoints: set[str] = set()
        for number, line in enumerate(self._journal, start=2):
            self._read(line, number)

    def _read(self, line: Mapping[str, Any], number: int) -> None:
        try:
            given = {name: line[name] for name in _FIELDS & line.keys()}
            if isinstance(given.get("tokens"), list):
                prompt_tokens, answer_tokens = given["tokens"]
                given["tokens"] = (prompt_tokens, answer_tokens)
            answer = Answer(**given)
            read_verdict(answer)
            key, endpoint = line["key"], line["endpoint"]
            self._answers[str(key)] = answer
            self.endpoints.add(str(endpoint))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{self._journal.path}, line {number}: no answer of a judge; remove the line, and "
                "the question is asked again."
            ) from error

    def get(self, key: str) -> Answer | None:
        """The answer to the question of this key, if there is one."""
        return self._answers.get(key)

    def keep(self, question: Question, answer: Answer, endpoint: str) -> None:
        """Add the answer to a question; any thread may."""
        line = {
            "key": question.key,
            "index": question.pair.index,
            "objective": question.objective,
            "vote": question.vote,
            "shown_first": question.shown_first,
            "endpoint": endpoint,
            "asked_model": question.judge.model,
            **asdict(answer),
        }
        with self._lock:
            self._journal.append([line])
            self._answers[question.key] = answer
            self.endpoints.add(endpoint)


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Hold a folder for this process.

    Raises:
        UserError: Another process has it: both would ask, and pay, the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UserError(
            f"another process is asking a judge for {folder}; wait for it, or give another folder."
        ) from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(handle)
