"""What docs/serve.md shows works as it stands."""

import re
import shlex
from pathlib import Path
from typing import Any

import httpx2

from hidden_context.commands.command_line import parse
from hidden_context.commands.serve import Config
from hidden_context.serving.routes import PROBLEMS

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text()


def lines(program: str) -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    split = [shlex.split(line) for block in blocks for line in block.splitlines()]
    return [arguments for first, *arguments in split if first == program]


def test_each_curl_line_is_answered_and_each_route_has_one(client: httpx2.Client):
    asked = set()
    for arguments in lines("curl"):
        (url,) = (each for each in arguments if each.startswith("localhost:8000"))
        target = url.removeprefix("localhost:8000")
        how: dict[str, Any] = {"method": "GET"}
        if "-d" in arguments:
            name, value = arguments[arguments.index("-H") + 1].split(": ")
            body = arguments[arguments.index("-d") + 1]
            how = {"method": "POST", "content": body, "headers": {name: value}}
        answer = client.request(url=target, **how)
        assert answer.status_code == 200, (arguments, answer.text)
        asked.add(target.partition("?")[0])
    assert asked == set(client.get("/openapi.json").json()["paths"])


def test_the_flags_of_the_page_are_the_command_s():
    ((command, *flags),) = lines("hidden-context")
    assert command == "serve"
    assert parse(Config, flags).risk == "cvar:0.05"
    for flag in re.findall(r"`--(\w+)[` ]", PAGE):
        known = flag in Config.__dataclass_fields__
        assert known or flag in ("rm", "reward"), flag  # slime's and OpenRLHF's


def test_every_refusal_is_on_the_page():
    shown = {int(number) for number in re.findall(r"^\| (\d{3})", PAGE, flags=re.MULTILINE)}
    assert shown == {*PROBLEMS}
