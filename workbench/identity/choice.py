"""Whose token `make token` prints."""

from workbench.errors import UsageError
from workbench.identity.registered import Registered, User


def chosen(registered: Registered, name: str | None, role: str | None) -> User:
    """The user with this name; or else the first one who has the role; or else the first one of all.

    Raises UsageError, which names the users.
    """
    if name is not None:
        user = registered.user(name)
        problem = f"USER={name}: there is no such user"
    else:
        user = next((user for user in registered.users if role is None or role in user.roles), None)
        problem = f"ROLE={role}: no user has this role"
    if user is None:
        raise UsageError(f"{problem}: use one of {registered.describe_users()}")
    return user
