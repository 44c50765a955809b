"""Requests and answers are those that /openapi.json describes, as Schemathesis makes them of it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from attnsearch import update
from tests.serve.client import Client

# Whether there is a fault, or something that is not described. What a request must mean besides, no schema says.
CHECKED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
           "negative_data_rejection")  # fmt: skip
OPERATIONS = ["query", "like", "explain", "heatmap", "feedback", "list_catalogs", "show_item", "health"]
WITHOUT_PARAMETERS = ("list_catalogs", "health")  # there is nothing to get wrong


@pytest.fixture
def client(small):
    update([{"id": "a", "title": "moon", "year": 1969}, {"id": "0", "title": "sea", "kind": "water"}], name="shop")
    client = Client("shop")
    yield client
    client.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, GenerationMode.POSITIVE) for name in OPERATIONS),
        *((name, GenerationMode.NEGATIVE) for name in OPERATIONS if name not in WITHOUT_PARAMETERS),
    ],
)
def test_answers_are_as_described(client, name, mode):
    headers = {"Host": "localhost", "Authorization": f"Bearer {client.token}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app, headers=headers)
    operations = {
        operation.ok().definition.raw["operationId"]: operation.ok() for operation in schema.get_all_operations()
    }
    assert list(operations) == OPERATIONS
    checks = CHECKS.get_by_names(CHECKED)

    @settings(max_examples=40, phases=[Phase.generate], suppress_health_check=[*HealthCheck], database=None)
    @given(case=operations[name].as_strategy(generation_mode=mode))
    def ask(case):
        response = case.call(headers=headers)
        case.validate_response(response, checks=checks)

    ask()
