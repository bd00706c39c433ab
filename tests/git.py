"""For tests that read the commits of this project, which has none if it was downloaded as an archive."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

if not shutil.which("git"):
    NO_COMMITS = "git is not installed"
elif not (ROOT / ".git").exists():
    NO_COMMITS = "this folder is not a clone"
else:
    NO_COMMITS = ""
"""Why there are no commits; empty if there are."""

needs_git = pytest.mark.skipif(bool(NO_COMMITS), reason=NO_COMMITS)
