"""What goes over the wire is what Nylas' OpenAPI document says, but for a list of reasoned exceptions."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from tests.conformance import judging, node_sdk, openapi, tours
from tests.conformance.explained import EXPLAINED
from tests.conformance.openapi import Document
from tests.conformance.recorder import Exchange
from tests.conformance.tour import Tour


@pytest.fixture(scope="module")
def document() -> Document:
    """Nylas' document; without it nothing here can be tried."""
    try:
        return openapi.document()
    except LookupError as missing:
        pytest.skip(str(missing))


def taken(*takes: Callable[[], Tour]) -> list[Tour]:
    """Take these tours; skip the test where the Node SDK can't be had."""
    try:
        return [take() for take in takes]
    except node_sdk.NoNode as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(
    "take", [tours.client_tour, tours.python_tour, tours.node_tour], ids=["ours", "python", "node"]
)
def test_every_request_and_answer_is_as_documented(document: Document, take: Callable[[], Tour]) -> None:
    (tour,) = taken(take)

    assert judging.unexplained(document, tour) == []
    assert len(tour.exchanges) > 60


def test_no_exception_is_unused(document: Document) -> None:
    ran = taken(tours.client_tour, tours.python_tour, tours.node_tour)

    assert judging.unused(document, ran) == []
    assert all(entry.reason for entry in EXPLAINED)


def test_our_client_and_the_simulator_cover_all_36_operations(document: Document) -> None:
    """Read off the recorded calls: each operation was reached by a method of ours, and answered as documented."""
    rows = {operation.id: cells for operation, cells in judging.table(document, taken(tours.client_tour))}

    assert len(rows) == 36
    assert {name: cells for name, cells in rows.items() if not all(cell.startswith("✓") for cell in cells)} == {}


def test_the_sdks_reach_all_operations_that_they_have_methods_for(document: Document) -> None:
    ran = taken(tours.python_tour, tours.node_tour)
    rows = {operation.id: cells for operation, cells in judging.table(document, ran)}

    assert {name: cells[:2] for name, cells in rows.items() if not all(c.startswith("✓") for c in cells[:2])} == {
        "update_connector_by_provider": ["✓ connectors.update", "sends PUT"],
        "post-new-secret": ["sends PUT /v3/webhooks/{id}/rotate-secret", "✓ webhooks.rotateSecret"],
        "get_mock_webhook_payload": [judging.NO_METHOD] * 2,
        "send_test_event": [judging.NO_METHOD] * 2,
    }


GRANT = {"id": "g", "provider": "google", "scope": [], "created_at": 1}
BEARER = {"Authorization": "Bearer k", "Content-Type": "application/json"}
TALK = Exchange(
    method_called="",
    verb="PATCH",
    path="/v3/grants/g",
    query=(),
    headers=CIMultiDictProxy(CIMultiDict(BEARER)),
    body=b'{"scope": []}',
    status=200,
    answer_headers=CIMultiDictProxy(CIMultiDict({"Content-Type": "application/json; charset=utf-8"})),
    answer=json.dumps({"request_id": "r", "data": GRANT}).encode(),
)


def answered(**fields: object) -> dict[str, object]:
    return {"answer": json.dumps({"request_id": "r", "data": GRANT | fields}).encode()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"path": "/v3/grant/g"}, ["PATCH /v3/grant/g: path : no such operation"]),
        ({"verb": "PUT"}, ["PUT /v3/grants/g: path : no such operation"]),
        ({"query": (("dry_run", "1"),)}, ["patch_grant_by_id: query dry_run: no such parameter"]),
        ({"body": b'{"scope": "x"}'}, ["patch_grant_by_id: request /scope: is str, not array"]),
        ({"body": b'{"name": 1}'}, ["patch_grant_by_id: request /name: is not documented"]),
        ({"headers": CIMultiDictProxy(CIMultiDict({"Content-Type": "application/json"}))},
         ["patch_grant_by_id: request Authorization: is no bearer token"]),
        ({"headers": CIMultiDictProxy(CIMultiDict({**BEARER, "Content-Type": "text/plain"}))},
         ["patch_grant_by_id: request Content-Type: 'text/plain' is none of application/json"]),
        ({"status": 202}, ["patch_grant_by_id: answer 202 : no such status"]),
        (answered(scope=None), ["patch_grant_by_id: answer 200 /data/scope: is NoneType, not array"]),
        (answered(grant_status="dead"),
         ["patch_grant_by_id: answer 200 /data/grant_status: 'dead' is not one of ['invalid', 'valid']"]),
        (answered(colour="red"), ["patch_grant_by_id: answer 200 /data/colour: is not documented"]),
        ({"answer": b'{"data": {"id": "g", "provider": "google", "scope": []}}'},
         ["patch_grant_by_id: answer 200 /data/created_at: is missing"]),
        ({"answer_headers": CIMultiDictProxy(CIMultiDict({"Content-Type": "text/html"}))},
         ["patch_grant_by_id: answer 200 Content-Type: 'text/html' is none of application/json"]),
        ({"status": 400, "body": b"no JSON at all", "answer": b'{"error": {}}'},
         ["patch_grant_by_id: answer 400 /request_id: is missing"]),
    ],
)  # fmt: skip
def test_the_reader_finds_each_kind_of_departure(
    document: Document, change: dict[str, object], said: list[str]
) -> None:
    """Else a silent reader would pass everything."""
    assert [str(departure) for departure in document.departures(replace(TALK, **change))] == said
