"""The log contains no text of a note and no Idempotency-Key."""

from tests.service.databases import Database
from tests.service.test_logs import logged


async def test_neither_notes_nor_keys_nor_searches_are_logged(database: Database) -> None:
    """Even at level debug, and even in the error of a refused request."""
    lines: list[str] = []
    async with logged(database, "json", lines, module="service") as process:
        path = await process.create("/notes", title="s3cret", body="s3cret")
        key, ndjson = {"idempotency-key": "s3cret"}, {"content-type": "application/x-ndjson"}
        answers = [
            await process.api.post("/notes", json={"title": "s3cret" * 50}),
            await process.api.post("/notes", json={"title": "s3cret\x00"}),
            await process.api.post("/notes", json={"title": "s3cret"}, headers=key),
            await process.api.post("/notes", json={"title": "s3cret2"}, headers=key),
            await process.api.put(path, json={"title": "s3cret"}, headers={"if-match": '"s3cret"'}),
            await process.api.post("/notes/import", content='{"title": "s3cret", "s3cret": 1}', headers=ndjson),
            await process.api.get("/notes", params={"q": "s3cret"}),
        ]

    assert [answer.status_code for answer in answers] == [422, 422, 201, 422, 412, 422, 200]
    assert len(lines) > len(answers)
    assert [line for line in lines if "s3cret" in line] == []
