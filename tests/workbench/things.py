"""Requests to the probe domain for tests in which any request will do."""

from harness.resource import Resource

ANY = "/things?limit=1"
"""A path that answers 200."""

LOAD = Resource("/things", lambda number: {"name": f"Load {number}"}, read=ANY)
