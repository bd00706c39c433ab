"""The settings of the domain."""

from typing import Annotated

from pydantic import Field

from service.settings import Group, PositiveSeconds

Lifetime = Annotated[float, Field(gt=0, le=366 * 86_400)]


class NoteSettings(Group):
    """Times are in seconds."""

    import_timeout: PositiveSeconds = Field(
        600,
        description="Maximum duration of an import; `/notes/events` waits for its end. The gateway's limit is 660",
    )
    heartbeat: PositiveSeconds = Field(15, description="Time between the heartbeats of `/notes/events`")
    key_lifetime: Lifetime = Field(86_400, description="How long the answer to an `Idempotency-Key` is kept")
    event_lifetime: Lifetime = Field(86_400, description="How long `/notes/events` can be resumed after an event")
    cleanup_interval: PositiveSeconds = Field(60, description="Time between two removals of expired keys and events")
