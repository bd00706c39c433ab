"""Standbys that follow the primary's stream alone, without asking the archive, while a switchover lasts.

When a standby is promoted, or finds a new primary, it first looks for each file in the archive: about five times, one
after the other, by a program of the operator that takes a part of a second, and with Barman Cloud a second. A standby
that streams has all that the primary has, so nothing can be found there, and clients would only wait.

A failover has to ask it: a primary that is lost may have begun a timeline that only the archive knows, and the next
one must not begin the same.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cluster.kubectl import ClusterError
from cluster.postgres import psql

LASTS = 300
"""s; after that a standby asks the archive again, even if the command that asked it not to was killed."""

# For psql. The operator's command stays in its own file, and is what RESET leads back to; %% is a percent sign there.
_ONLY = """
SELECT count(*) AS streams FROM pg_stat_wal_receiver WHERE status = 'streaming' \\gset
\\if :streams
  SELECT format('ALTER SYSTEM SET restore_command = %L', format('test $(date +%%%%s) -ge %s && %s', until, setting))
  FROM pg_file_settings, LATERAL (SELECT extract(epoch FROM now())::bigint + :lasts AS until) AS time
  WHERE name = 'restore_command' AND sourcefile NOT LIKE '%/postgresql.auto.conf'
  ORDER BY seqno DESC LIMIT 1 \\gexec
  ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms';
  SELECT pg_reload_conf();
\\endif
"""
_AGAIN = """
ALTER SYSTEM RESET restore_command;
ALTER SYSTEM RESET wal_retrieve_retry_interval;
SELECT pg_reload_conf();
"""


def only(lasts: int = LASTS) -> str:
    """What psql has to run. It does nothing, and says nothing, if the instance does not stream."""
    return f"\\set lasts {lasts}\n{_ONLY}"


@contextmanager
def streaming_only(pods: Iterable[str]) -> Iterator[list[str]]:
    """Gives those of the `pods` whose PostgreSQL streams; the others are left as they are.

    Raises ClusterError with PostgreSQL's message if a setting is refused.
    """
    streaming = list[str]()
    try:
        for pod in pods:
            if psql(pod, only()):
                streaming.append(pod)
        yield streaming
    finally:
        for pod in streaming:
            try:
                psql(pod, _AGAIN)
            except ClusterError as error:
                sys.stderr.write(
                    f"switchover: {pod} does not ask the archive before {LASTS} s have passed, and keeps a short "
                    f"wal_retrieve_retry_interval until the next `make switchover`: {error}\n"
                )
