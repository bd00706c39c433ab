"""Adoptions and upgrades of this project, in copies of it, with git. `make test-adopt` runs __main__.py.

An adopted copy does not have this folder: it contains no `make adopt`, and no upstream to take versions from.
"""
