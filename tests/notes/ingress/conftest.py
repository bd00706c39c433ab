"""A word that marks the notes of one test.

The database may contain other notes, and other clients may use it at the same time. Therefore each test only looks at
its own notes, which contain a word that no other note has.
"""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from tests.notes.ingress.notes import delete_all


@pytest.fixture
async def word(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """A word that no other note contains. Notes that contain it are deleted after the test."""
    word = f"w{uuid4().hex}"
    yield word
    await delete_all(client, word)
