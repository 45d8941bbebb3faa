"""The OpenAPI page is true: what it allows is answered, what it forbids is refused."""

import html
import re
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

REFUSALS = (
    "has no tokens",
    "risk .* is not understood",
    "worst_context needs contexts",
    "messages with role and content",
    "role is",
    "content is no text",
    "chat template of .* refuses",
    "does not show",
    "token ids are whole numbers",
    "is -?inf, and no JSON",
    "is not valid under any",
)
"""Why a request may be refused that the page allows: what no schema can say."""
BOUNDED = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def operations(client: httpx2.Client) -> dict[str, Any]:
    page = f"{client.base_url}/openapi.json"
    schema: Any = schemathesis.openapi.from_url(page)
    checks = schema.config.checks.positive_data_acceptance
    checks.expected_statuses = [*checks.expected_statuses, "422"]
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.path: operation for operation in found}


SCORING = [
    "/get_reward",
    "/classify",
    "/v1/embeddings",
    "/v1/reward",
    "/v1/score/evaluation",
    "/v1/distribution",
]


def test_every_route_is_on_the_page(operations: dict[str, Any]):
    assert set(operations) == {*SCORING, "/health", "/metrics"}


def test_the_page_shows_every_route_and_asks_nothing_of_another_site(client: httpx2.Client):
    page = client.get("/docs")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for path in (*SCORING, "/health", "/metrics"):
        assert f"{path}</code></h2>" in page.text
    assert '"maxItems": 256' in html.unescape(page.text)
    assert re.findall(r"""(?:src|href)\s*=\s*["']?([^"'>]*)""", page.text) == ["openapi.json"]
    assert not re.search(r"<script|<link|@import|url\(|https?:", page.text)


@pytest.mark.parametrize("path", [*SCORING, "/health", "/metrics"])
def test_what_the_page_allows_is_answered_as_it_says(operations: dict[str, Any], path: str):
    """Or refused for a reason that no schema can say."""

    @BOUNDED
    @given(operations[path].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def ask(case: Any) -> None:
        response = case.call_and_validate(timeout=30)
        if response.status_code != 200:
            assert response.status_code == 422
            assert re.search("|".join(REFUSALS), response.json()["detail"])

    ask()


@pytest.mark.parametrize("path", SCORING)
def test_what_the_page_forbids_is_refused_as_it_says(operations: dict[str, Any], path: str):
    statuses = []

    @BOUNDED
    @given(operations[path].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        statuses.append(case.call_and_validate(timeout=30).status_code)

    ask()
    assert set(statuses) & {400, 422}
