"""Nylas' OpenAPI document: which operation a recorded call is, and where the call departs from it."""

import copy
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.conformance.recorder import Exchange

GIVEN = os.environ.get("EVERGRANT_NYLAS_OPENAPI")  # read now: the tests clear the environment
BESIDE_US = Path(__file__).parents[3] / "shared/nylas/openapi-auth.json"
NAME = "urn:nylas"  # what references call the document
OF_ITS_OWN = {"/v3/webhooks/ip-addresses"}  # paths of Nylas' that the document would take for somebody's id
VERBS = ("get", "post", "put", "patch", "delete")
MISSING = (
    "Nylas' OpenAPI document is not here: name its file (JSON, the paths of the auth part) "
    f"in EVERGRANT_NYLAS_OPENAPI, or put it at {BESIDE_US}"
)


@dataclass(frozen=True, slots=True, order=True)
class Departure:
    """One place where a call is not as documented.

    `operation` is the document's id, or verb and path where it has none; `part` is `path`, `query`, `request` or
    `answer STATUS`; `place` is a parameter's name or a path into the body (`/data/*/name`, `*` for any index).
    """

    operation: str
    part: str
    place: str
    complaint: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.operation}: {self.part} {self.place}: {self.complaint}".replace("  ", " ")


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operation of the document, its references to parameters and answers followed."""

    id: str
    verb: str
    path: str
    says: Mapping[str, Any]

    def fits(self, exchange: Exchange) -> bool:
        """Tell whether a call is one of this operation."""
        ours, theirs = self.path.split("/"), exchange.path.split("/")
        return (
            self.verb == exchange.verb
            and len(ours) == len(theirs)
            and all(
                one == other or (one.startswith("{") and other != "") for one, other in zip(ours, theirs, strict=True)
            )
        )

    @property
    def general(self) -> int:
        """How many parts of the path are open; `/v3/grants/me` goes before `/v3/grants/{grantId}`."""
        return self.path.count("{")


def document_path() -> Path | None:
    """The document's file, or None where there is none."""
    path = Path(GIVEN) if GIVEN else BESIDE_US
    if GIVEN and not path.is_file():
        raise FileNotFoundError(f"EVERGRANT_NYLAS_OPENAPI names {GIVEN}, and no such file is there")
    return path if path.is_file() else None


@cache
def document() -> "Document":
    """Read the document, once. Raises LookupError where there is none."""
    path = document_path()
    if path is None:
        raise LookupError(MISSING)
    return Document(json.loads(path.read_text()))


class Document:
    """The document, read strictly.

    JSON Schema lets an object have fields that no schema names; here such a field is a departure, because a fake that
    invents fields is no use. And of Nylas' `oneOf`s, whose branches overlap (a body for Google is one for Microsoft
    too), at least one must fit; `discriminator` picks it where there is one.
    """

    def __init__(self, written: Mapping[str, Any]) -> None:
        self._whole = _closed(copy.deepcopy(dict(written)))
        registry = Registry().with_resource(NAME, Resource(self._whole, DRAFT202012))
        self._validator = _READER({}, registry=registry)
        self.operations = [
            Operation(says["operationId"], verb.upper(), path, self._followed(item, says))
            for path, item in self._whole["paths"].items()
            for verb, says in item.items()
            if verb in VERBS
        ]

    def operation(self, exchange: Exchange) -> Operation | None:
        """Find what a call is, or None if the document doesn't know it."""
        if exchange.path in OF_ITS_OWN:
            return None
        fitting = [operation for operation in self.operations if operation.fits(exchange)]
        return min(fitting, key=lambda operation: operation.general, default=None)

    def departures(self, exchange: Exchange) -> Iterator[Departure]:
        """Compare a call with the document; what was refused need not have been a good request."""
        operation = self.operation(exchange)
        if operation is None:
            yield Departure(f"{exchange.verb} {exchange.path}", "path", "", "no such operation")
            return
        if exchange.status < 400:
            yield from self._of_query(operation, exchange)
            yield from self._of_request(operation, exchange)
        yield from self._of_answer(operation, exchange)

    def _of_query(self, operation: Operation, exchange: Exchange) -> Iterator[Departure]:
        known = {p["name"]: p for p in operation.says["parameters"] if p["in"] == "query"}
        sent = dict(exchange.query)
        for name, value in sent.items():
            if name not in known:
                yield Departure(operation.id, "query", name, "no such parameter")
            else:
                schema = known[name]["schema"]
                yield from self._of(operation, "query", schema, _read_as(schema.get("type"), value), at=name)
        for name, parameter in known.items():
            if parameter.get("required") and name not in sent:
                yield Departure(operation.id, "query", name, "is required")

    def _of_request(self, operation: Operation, exchange: Exchange) -> Iterator[Departure]:
        content = operation.says.get("requestBody", {}).get("content")
        kind = exchange.headers.get("Content-Type", "").partition(";")[0]
        if content is None:
            if exchange.body:
                yield Departure(operation.id, "request", "", "has a body")
        elif kind not in content:
            yield Departure(operation.id, "request", "Content-Type", f"{kind!r} is none of {', '.join(content)}")
        else:
            yield from self._of(operation, "request", content[kind]["schema"], json.loads(exchange.body))
        if operation.says.get("security") and not exchange.headers.get("Authorization", "").startswith("Bearer "):
            yield Departure(operation.id, "request", "Authorization", "is no bearer token")

    def _of_answer(self, operation: Operation, exchange: Exchange) -> Iterator[Departure]:
        part = f"answer {exchange.status}"
        answer = operation.says["responses"].get(str(exchange.status))
        if answer is None:
            yield Departure(operation.id, part, "", "no such status")
            return
        for name in answer.get("headers", {}):
            if name not in exchange.answer_headers:
                yield Departure(operation.id, part, name, "header is missing")
        kind = exchange.answer_headers.get("Content-Type", "").partition(";")[0]
        content = answer.get("content")
        if content is None:
            if exchange.answer:
                yield Departure(operation.id, part, "", "has a body")
        elif kind not in content:
            yield Departure(operation.id, part, "Content-Type", f"{kind!r} is none of {', '.join(content)}")
        else:
            yield from self._of(operation, part, content[kind]["schema"], json.loads(exchange.answer))

    def _of(
        self, operation: Operation, part: str, schema: Mapping[str, Any], value: object, at: str = ""
    ) -> Iterator[Departure]:
        for error in self._validator.evolve(schema=schema).iter_errors(value):
            for place, complaint in _complaints(error):
                yield Departure(operation.id, part, at + place, complaint)

    def _followed(self, item: Mapping[str, Any], says: Mapping[str, Any]) -> dict[str, Any]:
        parameters = [self._at(parameter) for parameter in (*item.get("parameters", ()), *says.get("parameters", ()))]
        responses = {status: self._at(answer) for status, answer in says["responses"].items()}
        return {**says, "parameters": parameters, "responses": responses}

    def _at(self, spot: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in spot:
            target: Any = self._whole
            for part in spot["$ref"].removeprefix(f"{NAME}#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            spot = target
        return spot


def _closed(node: Any) -> Any:
    """Close every object that names its fields, and let references name the document."""
    if isinstance(node, list):
        return [_closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    closed = {name: f"{NAME}{part}" if name == "$ref" else _closed(part) for name, part in node.items()}
    if isinstance(named := closed.get("properties"), dict) and closed.get("type", "object") == "object":
        closed["properties"] = dict.fromkeys(closed.get("required", ()), True) | named  # some are required, no more
        closed.setdefault("additionalProperties", False)
    return closed


def _read_as(kind: object, text: str) -> object:
    """Read a parameter as what its schema calls it, if it can be."""
    if kind in ("integer", "boolean"):
        try:
            return json.loads(text.lower() if kind == "boolean" else text)
        except ValueError:
            return text
    return text


def _one_of(validator: Any, branches: list[Any], value: Any, schema: Mapping[str, Any]) -> Iterable[ValidationError]:
    mapping = schema.get("discriminator", {}).get("mapping", {})
    name = schema.get("discriminator", {}).get("propertyName")
    if isinstance(value, dict) and value.get(name) in mapping:
        return validator.descend(value, {"$ref": NAME + mapping[value[name]]})
    attempts = [list(validator.descend(value, branch)) for branch in branches]
    return min(attempts, key=len)


def _complaints(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Say what is wrong and where, a line for each undocumented field; no value is repeated but an enum's."""
    place = "".join(f"/{'*' if isinstance(part, int) else part}" for part in error.absolute_path)
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            yield from ((f"{place}/{name}", "is not documented") for name in error.instance if name not in known)
        case "required":
            yield from ((f"{place}/{n}", "is missing") for n in error.validator_value if n not in error.instance)
        case "type":
            yield place, f"is {type(error.instance).__name__}, not {error.validator_value}"
        case _:
            yield place, error.message


_READER = extend(OAS31Validator, {"oneOf": _one_of})
