"""What the loads of the measurements create and read."""

from harness.resource import Resource

NOTES = Resource("/notes", lambda number: {"title": f"Load {number}"}, read="/")
