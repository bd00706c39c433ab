"""What Schemathesis cannot learn from /openapi.json. NOTE_ID is the id of a note that it may read and replace."""

import json
import os
import re
from typing import Any
from urllib.parse import urljoin
from uuid import UUID, uuid4

import requests
import schemathesis
from hypothesis import strategies as st

NDJSON = "application/x-ndjson"
OTHER_ROUTES = {"import", "export", "events"}
"""Path segments that sequences take from the links of `GET /` and use as ids."""

KEY = re.compile(r"[\x21-\x7e]{1,200}")

_text = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_notes = st.fixed_dictionaries(
    {"id": st.uuids().map(str), "title": st.text(_text, min_size=1, max_size=200)},
    optional={
        "body": st.text(_text, max_size=10_000),
        "version": st.integers(1, 2**53 - 1),
        "created_at": st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
        "updated_at": st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
    },
)
_session = requests.Session()


def _lines(notes: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(note).encode() + b"\n" for note in notes)


schemathesis.openapi.media_type(NDJSON, st.lists(_notes, max_size=5, unique_by=lambda note: note["id"]).map(_lines))


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    # Each key is used only once: the service rightly refuses a known key with different content.
    key = case.headers.get("idempotency-key")
    if isinstance(key, str) and KEY.fullmatch(key):
        unique = str(uuid4())
        case.headers["idempotency-key"] = key[: 200 - len(unique)] + unique

    # Schemathesis also takes ids from responses, and would change and delete notes of other people. Therefore half of
    # the ids of GET and PUT become NOTE_ID, and all others become ids that no note has.
    if case.path_parameters.get("note_id") in OTHER_ROUTES:
        case.path_parameters["note_id"] = str(uuid4())
    note_id = _uuid(case.path_parameters.get("note_id"))
    if note_id is not None:
        ours = os.environ.get("NOTE_ID") if case.method in {"GET", "PUT"} and note_id.int % 2 == 0 else None
        case.path_parameters["note_id"] = ours or str(uuid4())


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], response: schemathesis.Response
) -> None:
    """Deletes the notes that the call created."""
    made: list[str] = []
    if response.status_code == 201:
        made = [response.json()["id"]]
    elif case.path == "/notes/import" and response.status_code == 200 and isinstance(case.body, bytes):
        made = [json.loads(line)["id"] for line in case.body.splitlines()]
    for note_id in made:
        _session.delete(urljoin(response.request.url or "", f"/notes/{note_id}"), headers=_user(response), timeout=30)


def _user(response: schemathesis.Response) -> dict[str, str]:
    """The headers that say whose request it was."""
    sent = response.request.headers
    return {name: str(sent[name]) for name in ("authorization", "x-user") if name in sent}


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
