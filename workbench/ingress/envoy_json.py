"""Parts of Envoy's configuration, which is protobuf in its JSON form."""

from datetime import timedelta
from typing import Any

Json = dict[str, Any]


def typed(message: str, **fields: object) -> Json:
    """A message of envoy.extensions with its type, as a field of the type Any needs it."""
    return {"@type": f"type.googleapis.com/envoy.extensions.{message}", **fields}


def duration(value: timedelta) -> str:
    """Seconds, with a fraction if there is one: 15s, 0.250000s."""
    seconds, microseconds = divmod(value // timedelta(microseconds=1), 1_000_000)
    return f"{seconds}.{microseconds:06d}s" if microseconds else f"{seconds}s"
