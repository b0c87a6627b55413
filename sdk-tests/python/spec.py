"""Our own OpenAPI document, as something that answers are held against."""

import json
import re
from functools import cache
from pathlib import Path

from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

def check(method: str, path: str, status: int, kind: str, value: object) -> None:
    """Whether the document allows this value as an answer, or, of a stream, as an event of it."""
    errors = [error.message for error in validator(method, path, status, kind).iter_errors(value)]
    assert not errors, f"{method} {path} {status}, by openapi.json: {errors[:3]}"


@cache
def validator(method: str, path: str, status: int, kind: str) -> OAS30Validator:
    operation = next((
        operations[method.lower()]
        for template, operations in templates()
        if template.fullmatch(path) and method.lower() in operations
    ), None)
    # Where there is nothing, all that can be answered is an error, and that has one shape.
    if operation is None:
        assert status in (404, 405), f"{method} {path} is not in openapi.json"
        return OAS30Validator({"$ref": "openapi#/components/schemas/ErrorResponse"}, registry=REGISTRY)
    responses = operation["responses"]
    assert str(status) in responses, f"{method} {path} never answers {status}, by openapi.json"
    schema = absolute(responses[str(status)]["content"][kind]["schema"])
    return OAS30Validator(schema["items"] if kind == "text/event-stream" else schema, registry=REGISTRY)


@cache
def templates() -> list:
    """Those with the fewest parameters first."""
    paths = sorted(DOCUMENT["paths"].items(), key=lambda path: path[0].count("{"))
    return [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path)), all) for path, all in paths]


def absolute(schema):
    """The same with references that hold outside the document."""
    if isinstance(schema, dict):
        return {
            key: f"openapi{value}" if key == "$ref" else absolute(value)
            for key, value in schema.items()
        }
    return [absolute(each) for each in schema] if isinstance(schema, list) else schema


def with_nulls(schema):
    """`nullable` beside `allOf` means what generators of clients take it for: or null."""
    if isinstance(schema, list):
        return [with_nulls(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: with_nulls(value) for key, value in schema.items()}
    if schema.get("nullable") is True and "allOf" in schema:
        return {"anyOf": [{"enum": [None], "nullable": True}, {"allOf": schema["allOf"]}]}
    return schema


DOCUMENT = with_nulls(json.loads((Path(__file__).parents[2] / "openapi/openapi.json").read_text()))
REGISTRY = Registry().with_resource(
    "openapi", Resource.from_contents(DOCUMENT, default_specification=DRAFT4)
)
