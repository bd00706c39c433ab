"""The domains: each package in this folder is a part of the API, and `DOMAIN` in it says what it consists of.

`service/app.py` finds them, so to add or delete a folder is all that it takes.
"""
