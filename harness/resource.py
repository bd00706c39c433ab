"""What a load creates and reads. The service's domains differ, so each caller passes a resource of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.sign_in import NOBODY, SignIn


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection: POST creates a member, and answers 201 with its path, `<path>/<id>`, as Location."""

    path: str
    body: Callable[[int], dict[str, Any]]
    """The JSON of the POST with this number."""
    read: str
    """The path of requests with GET; it answers 200, whether there are members or not."""
    user: SignIn = NOBODY
    """Whose requests they are."""
