"""`make upgrade`: later versions under the adopted name, whatever happened in between."""

import re
from pathlib import Path

import pytest

from adoption.adopt.transform import project_name
from adoption.git import Repository
from adoption.record import PATH, Record
from tests.adoption.adopt.copies import NOBODY, NOT_RENAMED, OLD_NAME, adopt, clone, mentions, save, state, upgrade
from tests.git import needs_git

pytestmark = needs_git

PAGE, SETTINGS, SECURITY = "docs/cluster.md", "service/settings.py", "SECURITY.md"
OVERLAYS = DEV, PRODUCTION = [f"k8s/overlays/{name}/kustomization.yaml" for name in ("dev", "production")]
ISSUER = "k8s/overlays/production/identity-service.yaml"
USERS = "components/identity\n"


def edit(repository: Repository, path: str, old: str, new: str) -> None:
    file = repository.root / path
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{path} does not contain {old!r}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def read(repository: Repository, path: str) -> str:
    return (repository.root / path).read_text(encoding="utf-8")


def next_version(upstream: Repository, line: str = "The new version of {name}.") -> str:
    """Adds a line with the upstream's name at the end of a page, and a file; returns the commit."""
    with (upstream.root / PAGE).open("a", encoding="utf-8") as page:
        page.write(f"\n{line.format(name=OLD_NAME)}\n")
    (upstream.root / "docs" / f"{OLD_NAME}-next.md").write_text(f"# {OLD_NAME.capitalize()}\n")
    return save(upstream, "The next version")


def upgraded(repository: Repository, **variables: str) -> str:
    """Upgrades without a conflict; returns what was printed."""
    done = upgrade(repository, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert repository.git("status", "--porcelain") == ""
    assert mentions(repository, OLD_NAME) <= NOT_RENAMED
    return done.stdout


def commit_of(repository: Repository) -> str:
    record = Record.read(repository.root)
    assert record
    return record.commit


def test_changes_of_both_sides_are_kept_and_the_name_stays_the_new_one(
    upstream: Repository, harbor: Repository
) -> None:
    edit(harbor, PAGE, "# The cluster", "# Our cluster")
    (harbor.root / "service" / "booking.py").write_text("BERTHS = 99\n")
    save(harbor, "Ours")
    commit = next_version(upstream)

    printed = upgraded(harbor)

    assert "# Our cluster" in read(harbor, PAGE)
    assert read(harbor, PAGE).endswith("\nThe new version of harbor.\n")
    assert read(harbor, "docs/harbor-next.md") == "# Harbor\n"
    assert read(harbor, "service/booking.py") == "BERTHS = 99\n"
    assert commit_of(harbor) == commit
    assert f"({commit[:7]}); what is new: `git log " in printed
    assert upgraded(harbor).startswith(f"already up to date with {OLD_NAME} 0.1.0 ({commit[:7]})")


def test_only_the_same_lines_are_a_conflict(upstream: Repository, harbor: Repository) -> None:
    edit(harbor, PAGE, "# The cluster", "# Our cluster")
    edit(harbor, SECURITY, "# Security", "# Our security")
    edit(harbor, SETTINGS, "import socket\n", "import socket  # ours\n")
    save(harbor, "Ours")
    edit(upstream, SECURITY, "# Security", f"# Security of {OLD_NAME}")
    (upstream.root / SETTINGS).write_text(read(upstream, SETTINGS) + f'\nLATER = "{OLD_NAME}"\n')
    next_version(upstream)

    done = upgrade(harbor)

    assert done.returncode == 1
    assert re.findall("(?m)^  (.+)$", done.stderr) == [SECURITY]
    assert "`git merge --abort`" in done.stderr
    assert harbor.paths("diff", "--name-only", "--diff-filter=U") == [SECURITY]
    assert "# Security of harbor" in read(harbor, SECURITY)
    assert "import socket  # ours\n" in read(harbor, SETTINGS)
    assert read(harbor, SETTINGS).endswith('LATER = "harbor"\n')
    assert "a merge is under way: resolve and commit it" in upgrade(harbor).stderr

    (harbor.root / SECURITY).write_text("# Our security of harbor\n")
    save(harbor, "Both")
    assert upgraded(harbor).startswith("already up to date")

    edit(upstream, SECURITY, "Only the newest version gets fixes.", "Each version gets fixes.")
    next_version(upstream, "And one more of {name}.")
    assert re.findall("(?m)^  (.+)$", upgrade(harbor).stderr) == [SECURITY]
    harbor.git("checkout", "--ours", SECURITY)
    save(harbor, "Ours again")
    assert read(harbor, SECURITY) == "# Our security of harbor\n"
    assert read(harbor, PAGE).endswith("\nAnd one more of harbor.\n")


def test_after_an_abort_the_next_upgrade_merges_the_same(upstream: Repository, harbor: Repository) -> None:
    edit(harbor, SECURITY, "# Security", "# Our security")
    before = save(harbor, "Ours")
    edit(upstream, SECURITY, "# Security", "# The security")
    next_version(upstream)
    assert upgrade(harbor).returncode == 1
    attempted = harbor.git("rev-parse", "upstream")
    harbor.git("merge", "--abort")
    assert harbor.git("rev-parse", "HEAD") == before

    edit(harbor, SECURITY, "# Our security", "# Security")
    save(harbor, "Not ours")
    upgraded(harbor)

    assert read(harbor, SECURITY).startswith("# The security")
    assert harbor.git("rev-parse", "upstream") == attempted


def test_what_the_upstream_deletes_and_moves(upstream: Repository, harbor: Repository) -> None:
    """Files of the adopter stay where they are, also in a folder of which everything else was moved."""
    (harbor.root / "tilt" / "ours.tiltfile").write_text("# ours\n")
    save(harbor, "Ours")
    upstream.git("mv", "tilt", "tilting")
    upstream.git("rm", "--quiet", "mise.toml")
    save(upstream, "Moved")

    upgraded(harbor)

    assert read(harbor, "tilt/ours.tiltfile") == "# ours\n"
    assert [path.name for path in (harbor.root / "tilt").iterdir()] == ["ours.tiltfile"]
    assert (harbor.root / "tilting" / "buttons.tiltfile").exists()
    assert not (harbor.root / "mise.toml").exists()


def test_figures_and_changes_of_the_upstream_never_arrive(upstream: Repository, harbor: Repository) -> None:
    for path in ("docs/measured/speed.md", "bench/baseline.json"):
        (upstream.root / path).parent.mkdir(exist_ok=True)
        (upstream.root / path).write_text("0.84\n")
    edit(upstream, "CHANGELOG.md", "## Unreleased", "## Unreleased\n\nMuch.")
    edit(upstream, "pyproject.toml", 'version = "0.1.0"', 'version = "7.1.0"')
    save(upstream, "Measured")

    printed = upgraded(harbor)

    assert f"{OLD_NAME} 7.1.0" in printed
    assert harbor.git("diff", "--name-only", "HEAD~1") == PATH


def test_a_fresh_clone_of_a_colleague(upstream: Repository, harbor: Repository, tmp_path: Path) -> None:
    """It has neither the branch nor the remote, but the history."""
    next_version(upstream)
    upgraded(harbor)
    colleague = clone(harbor, tmp_path / "colleague", "--single-branch", "--branch=main")
    assert "upstream" not in colleague.git("branch", "--all")
    latest = next_version(upstream, "For the colleague of {name}.")

    upgraded(colleague)

    assert read(colleague, PAGE).endswith("\nFor the colleague of harbor.\n")
    assert colleague.git("rev-parse", "upstream~1") == harbor.git("rev-parse", "upstream")
    assert commit_of(colleague) == latest


def test_the_branch_of_the_remote_is_used(upstream: Repository, harbor: Repository, tmp_path: Path) -> None:
    """A colleague pushed an upgrade that nobody merged yet: another one is not made for the same version."""
    colleague = clone(harbor, tmp_path / "colleague")
    next_version(upstream)
    upgraded(harbor)
    colleague.git("fetch", "--quiet", "origin")

    upgraded(colleague)

    assert colleague.git("rev-parse", "upstream") == harbor.git("rev-parse", "upstream")


@pytest.mark.parametrize("branch", ["here", "gone"])
def test_an_upgrade_that_was_squashed(upstream: Repository, harbor: Repository, branch: str) -> None:
    """The next one merges what came after it, and does not meet the same changes again."""
    before = harbor.git("rev-parse", "HEAD")
    next_version(upstream)
    upgraded(harbor)
    harbor.git("reset", "--quiet", "--soft", before)
    edit(harbor, PAGE, "The new version of harbor.", "The version after the first.")
    save(harbor, harbor.git("log", "-1", "--format=%B", "upstream"))  # hosts suggest it as the message
    if branch == "gone":
        harbor.git("branch", "--quiet", "-D", "upstream")
    edit(upstream, SECURITY, "# Security", f"# Security of {OLD_NAME}")
    save(upstream, "Later")

    upgraded(harbor)

    assert read(harbor, PAGE).endswith("\nThe version after the first.\n")
    assert read(harbor, SECURITY).startswith("# Security of harbor\n")


def test_a_project_that_began_a_new_history(upstream: Repository, harbor: Repository) -> None:
    harbor.git("checkout", "--quiet", "--orphan", "fresh")
    (harbor.root / "ours.md").write_text("# Ours\n")
    save(harbor, "The beginning")
    harbor.git("branch", "--quiet", "-D", "main", "upstream")
    next_version(upstream)

    upgraded(harbor)

    assert read(harbor, "ours.md") == "# Ours\n"
    assert read(harbor, PAGE).endswith("\nThe new version of harbor.\n")


def test_a_project_that_began_without_the_history_of_the_upstream(
    upstream: Repository, published: Repository, tmp_path: Path
) -> None:
    copy = clone(published, tmp_path / "copy")
    copy.git("checkout", "--quiet", "--orphan", "fresh")
    save(copy, "A copy of the files")
    copy.git("branch", "--quiet", "-D", "main")
    copy.git("remote", "remove", "origin")
    assert adopt(copy, NAME="harbor").returncode == 0
    next_version(upstream)
    assert "does not know where the upstream is: make upgrade FROM=https://..." in upgrade(copy).stderr

    upgraded(copy, FROM=str(upstream.root))

    assert read(copy, PAGE).endswith("\nThe new version of harbor.\n")
    assert upgraded(copy).startswith("already up to date")  # the record has the address now


def test_a_shallow_clone(upstream: Repository, tmp_path: Path) -> None:
    """It is enough to adopt and to upgrade. A shallow clone of the adopted copy is not, and says what to do."""
    shallow = clone(upstream, tmp_path / "shallow", "--depth=1")
    assert adopt(shallow, NAME="harbor").returncode == 0
    next_version(upstream)
    upgraded(shallow)
    assert read(shallow, PAGE).endswith("\nThe new version of harbor.\n")
    save_empty = ("commit", "--quiet", "--allow-empty", "-m", "Ours")
    shallow.git(*save_empty)

    colleague = clone(shallow, tmp_path / "colleague", "--depth=1")
    assert "run `git fetch --unshallow` first" in upgrade(colleague).stderr
    colleague.git("fetch", "--quiet", "--unshallow")
    upgraded(colleague)


def test_the_example_can_be_dropped_later_and_the_title_changed(upstream: Repository, harbor: Repository) -> None:
    (harbor.root / "ours.md").write_text("# Ours\n")
    save(harbor, "Ours")
    assert (harbor.root / "service/migrations/notes/0001_notes.sql").exists()

    upgraded(harbor, EXAMPLE="drop", TITLE="Harbour")

    assert not (harbor.root / "service/migrations/notes/0001_notes.sql").exists()
    assert "<title>Harbour</title>" in read(harbor, "service/pages/static/index.html")
    assert read(harbor, "ours.md") == "# Ours\n"
    next_version(upstream)
    upgraded(harbor)
    record = Record.read(harbor.root)
    assert record
    assert (record.arguments["EXAMPLE"], record.arguments["TITLE"]) == ("drop", "Harbour")


def test_a_service_without_users_stays_without_them(upstream: Repository, harbor: Repository) -> None:
    """Also if later versions change what it does not have."""
    upgraded(harbor, IDENTITY="no")
    edit(harbor, PRODUCTION, "newTag: 0.1.0", "newTag: 0.2.0")
    save(harbor, "Ours")
    edit(upstream, ISSUER, "id.example.com", "id.example.org")
    edit(
        upstream,
        PRODUCTION,
        "  - path: telemetry.yaml\n",
        "  - path: telemetry.yaml\n  - path: identity-later.yaml\n",
    )
    edit(upstream, DEV, "components:\n", "components:\n  - ../../components/identity-later\n")
    (upstream.root / PRODUCTION).with_name("identity-later.yaml").touch()
    next_version(upstream)

    upgraded(harbor)

    assert not [path for path in harbor.paths("ls-files", "k8s/overlays/production") if "identity" in path]
    for overlay in OVERLAYS:
        assert "components/identity" not in read(harbor, overlay)
    assert "newTag: 0.2.0" in read(harbor, PRODUCTION)
    assert "identity-" not in read(harbor, PRODUCTION)
    assert "curl http://localhost:8080/" in read(harbor, "README.md")


def test_users_can_be_left_out_later_and_come_back(upstream: Repository, harbor: Repository) -> None:
    with_users = {path: read(harbor, path) for path in (*OVERLAYS, ISSUER, "README.md")}

    upgraded(harbor, IDENTITY="no")
    assert not (harbor.root / ISSUER).exists()
    assert all(USERS not in read(harbor, overlay) for overlay in OVERLAYS)

    upgraded(harbor, IDENTITY="yes")
    assert {path: read(harbor, path) for path in with_users} == with_users


def test_a_copy_that_is_older_than_the_choice_gets_users(upstream: Repository, harbor: Repository) -> None:
    edit(harbor, PATH, 'IDENTITY = "yes"\n', "")
    harbor.git("add", "--all")
    earlier = harbor.commit(harbor.git("write-tree"), "Adopt", harbor.git("rev-parse", "HEAD~1"))
    harbor.git("update-ref", "HEAD", earlier)
    harbor.git("update-ref", "refs/heads/upstream", earlier)
    next_version(upstream)

    upgraded(harbor)

    record = Record.read(harbor.root)
    assert record
    assert record.arguments["IDENTITY"] == "yes"
    assert all(USERS in read(harbor, overlay) for overlay in OVERLAYS)


def test_another_branch_or_tag_or_commit(upstream: Repository, harbor: Repository) -> None:
    first = next_version(upstream, "The release of {name}.")
    upstream.git("tag", "v2")
    upstream.git("switch", "--quiet", "--create", "next")
    next_version(upstream, "The future of {name}.")
    upstream.git("switch", "--quiet", "main")

    upgraded(harbor, REF="v2")
    assert commit_of(harbor) == first
    assert upgraded(harbor, REF=first).startswith("already up to date")
    upgraded(harbor, REF="next")
    assert read(harbor, PAGE).endswith("\nThe future of harbor.\n")


def test_what_is_refused_changes_nothing(upstream: Repository, harbor: Repository) -> None:
    next_version(upstream)
    (upstream.root / "adoption" / "adopt" / "__main__.py").write_text("raise SystemExit('no, thanks')\n")
    save(upstream, "Broken")
    before = state(harbor)

    for variables, text in (
        ({}, "main of file://"),
        ({}, "cannot be adopted: no, thanks"),
        ({"REF": "nothing"}, "has no branch, tag or commit nothing: make upgrade REF=..."),
        ({"FROM": "/nowhere"}, "git clone failed: fatal: repository '/nowhere' does not exist"),
        ({"FROM": str(harbor.root)}, "has no `make adopt`: is it an adopted copy, or older than that?"),
    ):
        done = upgrade(harbor, **variables)
        assert done.returncode == 1
        assert text in done.stderr
        assert "Traceback" not in done.stderr
        assert state(harbor) == before


def test_a_tree_that_is_not_clean_is_refused(harbor: Repository) -> None:
    (harbor.root / "mine.txt").touch()

    assert "the tree has changes that are not committed (mine.txt): commit them" in upgrade(harbor).stderr


def test_the_branch_upstream_is_not_for_work(harbor: Repository) -> None:
    harbor.git("switch", "--quiet", "upstream")
    assert "HEAD is the branch upstream, which is not for work: switch" in upgrade(harbor).stderr

    (harbor.root / "mine.txt").touch()
    save(harbor, "Mine")
    harbor.git("switch", "--quiet", "main")
    assert "the branch upstream has commits that no upgrade made" in upgrade(harbor).stderr


def test_a_later_version_may_have_a_folder_and_a_package_of_the_name(
    upstream: Repository, harbor: Repository
) -> None:
    (upstream.root / "harbor").mkdir()
    (upstream.root / "harbor" / "page.md").write_text(f"# {OLD_NAME}\n")
    with (upstream.root / "requirements" / "all.txt").open("a") as packages:
        packages.write("harbor==1.0\n")
    save(upstream, "Ships")

    upgraded(harbor)

    assert read(harbor, "harbor/page.md") == "# harbor\n"


def test_a_name_that_a_later_version_needs_for_another_part_can_be_changed(
    upstream: Repository, harbor: Repository
) -> None:
    (harbor.root / "ours.md").write_text("# Ours\n")
    save(harbor, "Ours")
    before = state(harbor)
    (upstream.root / "k8s" / "harbor.yaml").write_text("metadata:\n  name: harbor\n")
    next_version(upstream)
    error = upgrade(harbor).stderr
    assert "NAME=harbor is taken: k8s/harbor.yaml has an object of this name" in error
    assert "make upgrade NAME=... TITLE=..." in error
    assert "NAME=quart is taken: it is a package" in upgrade(harbor, NAME="quart").stderr
    assert state(harbor) == before

    upgraded(harbor, NAME="marina", TITLE="Marina")

    assert project_name(harbor.root)[0] == "marina"
    assert "<title>Marina</title>" in read(harbor, "service/pages/static/index.html")
    assert read(harbor, "docs/marina-next.md") == "# Marina\n"
    assert read(harbor, "ours.md") == "# Ours\n"
    assert upgraded(harbor).startswith("already up to date")


@pytest.mark.parametrize(
    ("name", "value"),
    [("grep.patternType", "fixed"), ("trailer.separators", "="), ("clone.defaultRemoteName", "theirs")],
)
def test_the_configuration_of_git_does_not_matter(
    upstream: Repository, harbor: Repository, name: str, value: str
) -> None:
    before, known = harbor.git("rev-parse", "HEAD", "upstream").split()
    upstream.git("switch", "--quiet", "--create", "next")
    next_version(upstream)
    configured = {"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_2": name, "GIT_CONFIG_VALUE_2": value, "REF": "next"}

    upgraded(harbor, **configured)

    assert harbor.git("rev-parse", "HEAD^1", "upstream^1").split() == [before, known], "nothing was made anew"
    assert upgraded(harbor, **configured).startswith("already up to date")


def test_an_upgrade_that_fails_after_one_that_was_squashed(upstream: Repository, harbor: Repository) -> None:
    before = harbor.git("rev-parse", "HEAD")
    next_version(upstream)
    upgraded(harbor)
    harbor.git("reset", "--quiet", "--soft", before)
    save(harbor, "Squashed")
    squashed = state(harbor)

    assert upgrade(harbor, REF="nope").returncode == 1

    assert state(harbor) == squashed


def test_an_older_version_is_taken_only_if_it_is_named(upstream: Repository, harbor: Repository) -> None:
    first = commit_of(harbor)
    upstream.git("switch", "--quiet", "--create", "next")
    next_version(upstream)
    upgraded(harbor, REF="next")
    before = state(harbor)

    done = upgrade(harbor)
    assert done.returncode == 1
    assert f"main of {upstream.root.as_uri()} is {OLD_NAME} " in done.stderr
    assert "which is older than your" in done.stderr
    assert state(harbor) == before

    assert ", which is older than" in upgraded(harbor, REF="main")
    assert commit_of(harbor) == first


def test_new_arguments_alone_have_no_news(harbor: Repository) -> None:
    assert "what is new" not in upgraded(harbor, TITLE="Harbour")


def test_an_upstream_without_the_version_that_the_project_has(upstream: Repository, harbor: Repository) -> None:
    commit = commit_of(harbor)
    harbor.git("checkout", "--quiet", "--orphan", "fresh")
    save(harbor, "The beginning")
    harbor.git("branch", "--quiet", "-D", "main", "upstream")
    upstream.git("checkout", "--quiet", "--orphan", "rewritten")
    save(upstream, "Another history")
    upstream.git("branch", "--quiet", "--force", "main")
    before = state(harbor)

    done = upgrade(harbor)

    assert done.returncode == 1
    assert "and it cannot be made again: " in done.stderr
    assert f"FROM= takes a repository that has the commit {commit}" in done.stderr
    assert "not a tree" not in done.stderr
    assert state(harbor) == before


def test_who_commits_may_be_known_in_this_repository_only(upstream: Repository, harbor: Repository) -> None:
    harbor.git("config", "user.name", "Grace")
    harbor.git("config", "user.email", "grace@example.com")
    next_version(upstream)

    upgraded(harbor, **NOBODY)

    assert harbor.git("log", "-2", "--first-parent", "--format=%an", "upstream") == "Grace\nAda"


def test_only_an_adopted_copy_can_be_upgraded(project: Repository) -> None:
    assert f"there is no {PATH}: only a project that `make adopt` made" in upgrade(project).stderr
