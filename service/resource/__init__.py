"""What the resources of all domains share. A resource is a table with the columns `id uuid` and `version bigint`.

fields.py        text and times in models; UUIDv7
idempotency.py   Idempotency-Key: a POST that is repeated creates only once
versions.py      ETags: conditional reads and changes
paging.py        lists, page by page
owners.py        rows that belong to users
transfer.py      import and export as lines of JSON
feed.py          the event stream of one resource
feeds.py         the feeds of all resources, and the connection that reads for them
cleanup.py       removes expired Idempotency-Keys and events
queries.py       the SQL of all this; its tables and functions are in migrations/shared/

A domain uses what it needs; the SQL of its own tables is its own.
"""
