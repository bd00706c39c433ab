"""`make adopt`: the first commit of a project of one's own. It deletes this folder, which has no use afterwards.

__main__.py   checks everything, changes the files, makes the commit and the branch `upstream`
arguments.py  NAME, TITLE, REPOSITORY, EXAMPLE and IDENTITY: what they may be, and why
taken.py      names that mean something else already
transform.py  what happens to the files
rename.py     from the old name to the new one, in texts and paths
templates/    the first README.md and CHANGELOG.md of the new project

`make upgrade` of every earlier version runs `python -m adoption.adopt` of the new one. So what it relies on stays:
this command, the variables NAME, TITLE, REPOSITORY, EXAMPLE, IDENTITY, RUFF and UPGRADE (the last three may be
missing), one commit on HEAD, and the record (`adoption/record.py`). The result depends on the files and the arguments
alone, not on the day or the machine: what two versions have in common is the same after both adoptions, and merges
without a conflict.
"""
