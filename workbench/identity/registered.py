"""Who can sign in, and where: the part of Dex's configuration that the workbench's provider needs."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from workbench.ingress.address import moved
from workbench.ingress.rule_files import load, validated
from workbench.machine import passwords

CONFIGURATION = "dex.yaml"

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def _duration(text: object) -> timedelta:
    found = re.fullmatch(r"([1-9]\d*)([smh])", str(text))
    if not found:
        raise ValueError(f"{text!r} is not a time that the workbench knows; write it like 90s, 5m or 1h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


class _Model(BaseModel):
    """Of Dex's fields, only those that it names are read."""

    model_config = ConfigDict(frozen=True, alias_generator=lambda name: to_camel(name).replace("Uri", "URI"))


class Client(_Model):
    id: str
    public: Annotated[bool, Field(strict=True)] = False
    redirect_uris: list[str] = Field(alias="redirectURIs", min_length=1)


class User(_Model):
    id: Annotated[str, Field(alias="userID", pattern=r"^[a-z][a-z0-9-]*$")]
    name: str = Field(alias="username")
    email: str
    roles: list[str] = Field(alias="groups", default=[])


class Expiry(_Model):
    tokens: Annotated[timedelta, Field(alias="idTokens"), BeforeValidator(_duration)]


class Registered(_Model):
    """`issuer` and the redirect URIs are those of the cluster, until `own_url` of read() replaces them."""

    issuer: str
    clients: list[Client] = Field(alias="staticClients", min_length=1)
    users: list[User] = Field(alias="staticPasswords", min_length=1)
    expiry: Expiry

    def client(self, client_id: str) -> Client | None:
        return next((client for client in self.clients if client.id == client_id), None)

    def user(self, name: str) -> User | None:
        """The user with this name or e-mail address."""
        return next((user for user in self.users if name.lower() in (user.id, user.email.lower())), None)

    def describe_users(self) -> str:
        """The names, with their roles: for error texts."""
        return ", ".join(f"{user.id} ({' '.join(user.roles)})" if user.roles else user.id for user in self.users)


def read(component: Path, own_url: str) -> Registered:
    """What is in the folder of a component. Raises IngressRuleError, which names the file and the field."""
    file = component / CONFIGURATION
    return validated(file, moved(load(file), own_url), Registered)


def passwords_of(users: Sequence[User], folder: Path) -> Mapping[str, str]:
    """The password of each user, by their name. Makes those that are missing. Raises WorkbenchError or OSError."""
    passwords.make_folder(folder)
    return {user.id: passwords.password(passwords.of_user(user.id, folder)) for user in users}
