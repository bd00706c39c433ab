"""Makes this project somebody's own, and takes later versions of it. Needs git and the standard library.

adopt/      `make adopt` renames the project and removes what is true of nobody else's; it deletes this folder, too
upgrade.py  `make upgrade` merges a later version, after the same adoption
record.py   what both know of an adopted copy: where it comes from, and the arguments of its adoption
git.py      git commands in one repository
errors.py   what the commands report without a traceback
"""
