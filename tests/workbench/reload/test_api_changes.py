"""Two OpenAPI documents compared: what has changed, and what of it breaks clients."""

import json
from copy import deepcopy
from typing import Any

import pytest

from service.app import create_app
from service.settings import load
from service.web.openapi import describe
from tests.probe import things
from workbench.reload.api_changes import changes

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "integer"}
BREAKS = " (breaks clients)"


def fields(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required]}


def body(schema: dict[str, Any], media: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"content": {media: {"schema": schema}}, **more}


def document(**operation: Any) -> dict[str, Any]:
    """With one operation, POST /things."""
    return {"paths": {"/things": {"post": {"responses": {}, **operation}}}, "components": {"schemas": {}}}


def said(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = changes(old, new)
    assert changes(old, deepcopy(old)) == []
    return [str(change).removeprefix("POST /things: ") for change in found]


def request(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return said(document(requestBody=body(old)), document(requestBody=body(new)))


def answer(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return said(document(responses={"200": body(old)}), document(responses={"200": body(new)}))


def parameter(name: str = "q", place: str = "query", required: bool = False, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema or TEXT}


def test_operations() -> None:
    old, new = document(), document()
    old["paths"]["/old"] = {"get": {"responses": {}}, "parameters": []}
    new["paths"]["/new"] = {"get": {"responses": {}}}
    assert said(old, new) == ["GET /old removed" + BREAKS, "GET /new added"]


def test_clients_do_not_see_the_name_of_a_parameter_in_the_path() -> None:
    old, new = document(), document()
    for paths, name in ((old["paths"], "thing_id"), (new["paths"], "id")):
        paths[f"/things/{{{name}}}"] = {"get": {"parameters": [parameter(name, "path", True)], "responses": {}}}
    assert said(old, new) == []
    new["paths"]["/things/{id}"]["get"]["parameters"][0]["schema"] = NUMBER
    assert said(old, new) == ["GET /things/{id}: path parameter 1 is integer, was string" + BREAKS]


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ([], [parameter()], "query q added"),
        ([], [parameter(required=True)], "query q added, required" + BREAKS),
        ([parameter()], [], "query q removed" + BREAKS),
        ([parameter()], [parameter(required=True)], "query q is required now" + BREAKS),
        ([parameter(required=True)], [parameter()], "query q is optional now"),
        ([parameter(**NUMBER)], [parameter(type="number")], "query q is number, was integer"),
        ([parameter(type="number")], [parameter(**NUMBER)], "query q is integer, was number" + BREAKS),
        ([parameter(maximum=9, **NUMBER)], [parameter(maximum=5, **NUMBER)], "query q: maximum is 5, was 9" + BREAKS),
        ([parameter(minimum=2, **NUMBER)], [parameter(minimum=1, **NUMBER)], "query q: minimum is 1, was 2"),
        ([parameter(maxLength=2, **TEXT)], [parameter(**TEXT)], "query q: maxLength is none, was 2"),
        ([parameter(**TEXT)], [parameter(pattern="a", **TEXT)], "query q: another pattern" + BREAKS),
        ([parameter(pattern="a", **TEXT)], [parameter(**TEXT)], "query q: another pattern"),
        ([parameter()], [parameter(place="header")], "query q removed" + BREAKS + "; header q added"),
    ],
)
def test_parameters(old: list[Any], new: list[Any], change: str) -> None:
    assert "; ".join(said(document(parameters=old), document(parameters=new))).replace("POST /things: ", "") == change


@pytest.mark.parametrize(
    ("old", "new", "in_request", "in_answer"),
    [
        (fields(a=TEXT), fields(a=TEXT, b=TEXT), "field b added", "field b added"),
        (fields(), fields("b", b=TEXT), "field b added, required" + BREAKS, "field b added"),
        (fields(a=TEXT, b=TEXT), fields(a=TEXT), "field b removed" + BREAKS, "field b removed" + BREAKS),
        (fields(a=TEXT), fields("a", a=TEXT), "field a is required now" + BREAKS, "field a is required now"),
        (fields("a", a=TEXT), fields(a=TEXT), "field a is optional now", "field a is optional now" + BREAKS),
        (
            fields(a=TEXT),
            fields(a={"anyOf": [TEXT, {"type": "null"}]}),
            "field a is null or string, was string",
            "field a is null or string, was string" + BREAKS,
        ),
        (
            fields(a={"enum": ["x", "y"]}),
            fields(a={"enum": ["x"]}),
            "field a is 'x', was 'x' or 'y'" + BREAKS,
            "field a is 'x', was 'x' or 'y'",
        ),
        (
            fields(a=TEXT),
            fields(a={"type": "string", "format": "uuid"}),
            "field a is uuid, was string" + BREAKS,
            "field a is uuid, was string",
        ),
        (fields(a=NUMBER), fields(a=TEXT), *["field a is string, was integer" + BREAKS] * 2),
        (
            fields(a={"type": "array", "items": fields(b=fields(c=TEXT))}),
            fields(a={"type": "array", "items": fields(b=fields())}),
            *["field a[].b.c removed" + BREAKS] * 2,
        ),
        (
            fields(a={"type": "object", "additionalProperties": TEXT}),
            fields(a={"type": "object", "additionalProperties": NUMBER}),
            *["field a{} is integer, was string" + BREAKS] * 2,
        ),
        (
            {"allOf": [fields("a", a=TEXT), fields(b=TEXT)]},
            fields("a", "b", a=TEXT, b=TEXT),
            "field b is required now" + BREAKS,
            "field b is required now",
        ),
        ({**TEXT, "title": "A", "description": "a", "examples": ["a"]}, TEXT, "", ""),
    ],
)
def test_fields(old: dict[str, Any], new: dict[str, Any], in_request: str, in_answer: str) -> None:
    assert request(old, new) == ([f"body {in_request}"] if in_request else [])
    assert answer(old, new) == ([f"answer {in_answer}"] if in_answer else [])


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ({"requestBody": body(TEXT)}, {}, "body removed" + BREAKS),
        ({}, {"requestBody": body(TEXT, required=True)}, "body added, required" + BREAKS),
        ({"requestBody": body(TEXT)}, {"requestBody": body(TEXT, required=True)}, "body is required now" + BREAKS),
        ({"responses": {"200": {}}}, {"responses": {"200": {}, "404": {}}}, "answer 404 added"),
        ({"responses": {"200": {}, "404": {}}}, {"responses": {"200": {}}}, "answer 404 removed"),
        ({"responses": {"200": {}}}, {"responses": {}}, "answer 200 removed" + BREAKS),
        (
            {"responses": {"200": body(TEXT, "text/plain")}},
            {"responses": {"200": body(TEXT, "text/html")}},
            f"answer in text/plain removed{BREAKS}; answer in text/html added",
        ),
        (
            {"responses": {"200": {"headers": {"etag": {}}}}},
            {"responses": {"200": {"headers": {"link": {}}}}},
            f"answer header etag removed{BREAKS}; answer header link added",
        ),
    ],
)
def test_bodies_and_answers(old: dict[str, Any], new: dict[str, Any], change: str) -> None:
    assert "; ".join(said(document(**old), document(**new))).replace("POST /things: ", "") == change


def test_a_schema_with_a_name_is_compared_once_even_if_it_contains_itself() -> None:
    node = fields(name=TEXT, below={"type": "array", "items": {"$ref": "#/components/schemas/Node"}})
    answers = {status: body({"$ref": "#/components/schemas/Node"}) for status in ("400", "404")}
    old, new = document(responses=answers), document(responses=deepcopy(answers))
    old["components"]["schemas"]["Node"] = node
    new["components"]["schemas"]["Node"] = fields(below=node["properties"]["below"])
    assert said(old, new) == ["answer 400 field name removed" + BREAKS]


def test_the_documents_of_the_service() -> None:
    old, new = (
        json.loads(
            json.dumps(describe(create_app(load({"SERVICE_VERSION": version}), domains=[things.DOMAIN]).quart))
        )
        for version in ("old", "new")
    )
    assert old["info"] != new["info"]
    assert changes(old, new) == []
    assert len(changes({**old, "paths": {}}, new)) == len(changes(new, {**old, "paths": {}})) == 8
