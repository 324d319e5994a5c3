"""Whatever the API is sent, it answers as its OpenAPI says, and never with an error of our own."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ingress.api import PATH
from ingress.api.app import make_api
from models.database import Database
from tests.api import Api, bearer, opened
from tests.front import installed, without_database

__all__ = ["installed", "without_database"]
pytestmark = [pytest.mark.usefixtures("installed")]

DESCRIBED = make_api().openapi()
REGISTRY = Registry().with_resource("api", DRAFT202012.create_resource(DESCRIBED))
CALLS = [(method, path) for path, calls in DESCRIBED["paths"].items() for method in calls]
WORDS = ["g1", "expired", "valid", "google", "1", "200", "open", "grant.expired", "done", "ada@example.com", "\x00", ""]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([*WORDS, 401]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
VALUE = st.sampled_from(WORDS) | st.text(max_size=30)
# Such a path is not one of the API's to the front: it answers with 404 itself.
NAME = st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1)
BODIES = {
    "put": {"contact": JSON, "zone": st.sampled_from(["Europe/Berlin", "UTC", "a" * 400]) | JSON},
    "post": {"status": st.sampled_from([401, 403]) | JSON},
}
MORE = {"occurred_at": st.datetimes().map(lambda at: at.isoformat() + "Z") | JSON, "request_id": JSON, "detail": JSON}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, str, dict[str, Any]]:
    """A call of one of the operations, more or less as its description wants it: verb, template, path, the rest."""
    method, template = draw(st.sampled_from(CALLS))
    called, path = DESCRIBED["paths"][template][method], template
    for parameter in called.get("parameters", ()):
        if parameter["in"] == "path":
            value = draw(st.sampled_from(["g1", "0190f3a0-0000-7000-8000-000000000000"]) | NAME)
            path = path.replace("{" + parameter["name"] + "}", quote(value, safe=""))
    named = [parameter["name"] for parameter in called.get("parameters", ()) if parameter["in"] == "query"]
    query = draw(st.dictionaries(st.sampled_from([*named, "other"]), VALUE, max_size=3))
    more: dict[str, Any] = {"params": query}
    if "requestBody" in called:
        body = st.fixed_dictionaries(BODIES[method], optional=MORE if method == "post" else None)
        more["json"] = draw(body | JSON)
    return method, template, path, more


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Api]:
    """The API, open, with a grant."""
    async with opened(database, valkey) as api:
        await api.keep(api.grant("g1"))
        yield api


def judge(path: str, method: str, status: int, kind: str, body: Any) -> None:
    """Hold an answer against what the OpenAPI says of the operation."""
    described = DESCRIBED["paths"][path][method]["responses"]
    assert str(status) in described, f"{status} is not described"
    content = described[str(status)].get("content", {})
    assert kind in content or (not content and body is None)
    if content:
        pointer = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}/responses/{status}/content"
        schema = {"$ref": f"api#{pointer}/{kind.replace('/', '~1')}/schema".replace("{", "%7B").replace("}", "%7D")}
        OAS31Validator(schema, registry=REGISTRY).validate(body)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # it takes less than SQLite does
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(call=calls())
async def test_every_answer_is_as_it_is_described(api: Api, call: tuple[str, str, str, dict[str, Any]]) -> None:
    method, template, path, more = call
    answer = await api.http.request(method, PATH + path, headers=bearer("admin"), **more)
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert answer.status_code < 500, answer.text
    judge(template, method, answer.status_code, kind, answer.json() if answer.content else None)
