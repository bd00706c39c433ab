"""What a load sends to a collection that it knows only from its description."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from harness.openapi import Described, collections
from harness.samples import sample


class Cargo(BaseModel):
    tons: Annotated[Decimal, Field(gt=0, lt=1)]


class Status(StrEnum):
    PLANNED = "planned"
    MOORED = "moored"


class Booking(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ship: str = Field(min_length=1, max_length=200)
    berth: int = Field(ge=1, le=99, strict=True)
    arrival: AwareDatetime
    departure: AwareDatetime
    status: Status
    cargo: list[Cargo] = Field(min_length=1)
    remarks: str = ""


def described(model: type[BaseModel], *below: str) -> dict[str, Any]:
    """A description of an API with this model, as quart-schema makes it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = {model.__name__: schema, **schema.pop("$defs", {})}
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
    post = {"requestBody": {"content": content}, "responses": {"201": {}}}
    others: dict[str, Any] = {f"/berths/{name}": {"get": {"responses": {"200": {}}}} for name in below}
    return {"paths": {"/berths": {"post": post}, **others}, "components": {"schemas": schemas}}


def collection(model: type[BaseModel], *below: str) -> Described:
    [found] = collections(described(model, *below))
    return found


def test_a_body_fits_its_model() -> None:
    found = collection(Booking)

    for number in range(300):
        Booking.model_validate_json(TypeAdapter(Any).dump_json(sample(found.schema, number)))


def test_bodies_differ_as_far_as_the_schema_allows() -> None:
    found = collection(Booking)

    bodies = [sample(found.schema, number) for number in range(99)]

    assert len({body["ship"] for body in bodies}) == 99
    assert {body["berth"] for body in bodies} == set(range(1, 100))
    assert {body["status"] for body in bodies} == set(Status)


def test_intervals_follow_each_other() -> None:
    found = collection(Booking)

    times = [body[name] for body in (sample(found.schema, n) for n in range(99)) for name in ("arrival", "departure")]

    assert times == sorted(set(times), key=TypeAdapter(AwareDatetime).validate_python)


@pytest.mark.parametrize(
    "accepted",
    [
        Annotated[str, Field(max_length=3)],
        Annotated[str, Field(min_length=60)],
        Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["EUR"])],
        Annotated[str, Field(pattern=r"^\p{Lu}+$", examples=["EUR"])],
        Annotated[str, Field(pattern=r"^[^\x00]*$")],
        Annotated[int, Field(gt=4, lt=6, strict=True)],
        Annotated[int, Field(le=-3)],
        Annotated[int, Field(ge=1001, multiple_of=500)],
        Annotated[float, Field(gt=0.2, lt=0.3)],
        Literal["one"],
        bool,
        date,
        UUID,
        AnyUrl | None,
        list[int],
        Any,
    ],
)
def test_a_value_is_accepted(accepted: Any) -> None:
    adapter = TypeAdapter[Any](accepted)

    for number in range(5):
        adapter.validate_python(sample(adapter.json_schema(), number))


def test_a_schema_that_contains_itself_ends() -> None:
    class Tree(BaseModel):
        children: list["Tree"] = Field(min_length=1)

    assert sample(collection(Tree).schema, 0) == {"children": [None]}


def test_a_collection_takes_json_and_creates() -> None:
    document = described(Booking, "events", "export")
    post = document["paths"]["/berths"]["post"]
    ndjson = {"application/x-ndjson": {"schema": {"type": "string"}}}
    document["paths"] |= {
        "/berths/{id}/charges": {"post": post},
        "/berths/import": {"post": {**post, "requestBody": {"content": ndjson}}},
        "/search": {"post": {**post, "responses": {"200": {}}}},
        "/clear": {"post": {"responses": {"201": {}}}},
    }

    [found] = collections(document)

    assert found.path == "/berths"
    assert found.below == {"events", "export", "import", "{id}/charges"}


class Named(BaseModel):
    name: str
    size: int = 1


class Moment(BaseModel):
    at: AwareDatetime


class Free(BaseModel):
    text: str = ""


@pytest.mark.parametrize(("model", "field"), [(Named, "name"), (Moment, None), (Free, None), (Booking, None)])
def test_a_text_field_is_the_only_one_that_is_required(model: type[BaseModel], field: str | None) -> None:
    assert collection(model).text_field == field
