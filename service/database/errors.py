"""Which exceptions mean that the database, and not the request, is at fault."""

import asyncpg

# All that connecting, or running a correct statement, can raise while the database is down.
DATABASE_ERRORS = (
    OSError,  # includes TimeoutError and ConnectionRefusedError
    ValueError,  # asyncpg cannot parse what the server sent
    asyncpg.PostgresError,
    asyncpg.InterfaceError,  # the connection was closed while the statement ran
    asyncpg.InternalClientError,  # the server has announced its shutdown, but has not closed the connection yet
)

# The database cannot serve any request now: the same request may succeed later.
TRANSIENT_ERRORS = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, startup, statement_timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk full, out of memory
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # not migrated yet; `/readyz` reports it
    asyncpg.UndefinedObjectError,  # the same, of a type
    asyncpg.ReadOnlySQLTransactionError,  # a standby during a failover
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
