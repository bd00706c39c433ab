"""NAME, TITLE, REPOSITORY, EXAMPLE and IDENTITY: what they may be, and why."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from keyword import iskeyword

from adoption.adopt.taken import NO_TEXT

LONGEST_NAME = 32  # of a cluster in k3d
LONGEST_TITLE = 40

_LABEL = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TITLE = re.compile(r"[A-Za-z][A-Za-z0-9]*([ -][A-Za-z0-9]+)*")
_ADDRESS = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]+)?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


@dataclass(frozen=True)
class Arguments:
    """What `make adopt` was given, or its defaults. `repository` is "" if it is not known yet."""

    name: str
    title: str
    repository: str
    example: str
    identity: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Arguments":
        """The arguments as they were given, right or wrong; check() says which."""
        name = variables.get("NAME", "")
        return cls(
            name=name,
            title=variables.get("TITLE") or " ".join(part.capitalize() for part in name.split("-")),
            repository=variables.get("REPOSITORY", "").rstrip("/"),
            example=variables.get("EXAMPLE") or "keep",
            identity=variables.get("IDENTITY") or "yes",  # earlier versions did not know it
        )

    def variables(self) -> dict[str, str]:
        return {
            "NAME": self.name,
            "TITLE": self.title,
            "REPOSITORY": self.repository,
            "EXAMPLE": self.example,
            "IDENTITY": self.identity,
        }

    def check(self, old_name: str, taken: Mapping[str, str]) -> list[str]:
        """What is wrong with the arguments, one sentence each. `taken` has the reason for each name that is taken."""
        wrong = list(self._wrong_name(old_name, taken))
        if not wrong:  # the default title of a wrong name would be another wrong one
            wrong += self._wrong_title(old_name)
        if self.repository and not _ADDRESS.fullmatch(self.repository):
            wrong.append(
                f"REPOSITORY={self.repository} is not the address of a repository's page such as "
                "https://git.example.com/harbor: https, without a user, a query or .git"
            )
        elif self.repository.endswith(".git"):
            wrong.append(f"REPOSITORY={self.repository} is the address to clone from: leave out .git")
        if self.example not in ("keep", "drop"):
            wrong.append(f"EXAMPLE={self.example} is neither keep nor drop")
        if self.identity not in ("yes", "no"):
            wrong.append(f"IDENTITY={self.identity} is neither yes nor no")
        return wrong

    def _wrong_name(self, old_name: str, taken: Mapping[str, str]) -> Iterator[str]:
        given = f"NAME={self.name}"
        if not self.name:
            yield "NAME is missing: make adopt NAME=harbor"
        elif not _LABEL.fullmatch(self.name):
            yield (
                f"{given} is not a name for Kubernetes, images and hosts: it needs lower-case letters, digits and "
                "single hyphens, and begins with a letter"
            )
        elif len(self.name) > LONGEST_NAME:
            yield f"{given} has {len(self.name)} characters, and k3d allows {LONGEST_NAME} in the name of a cluster"
        elif old_name in self.name:
            yield f"{given} contains {old_name}: nobody could tell what is renamed and what is not"
        elif iskeyword(self.name.replace("-", "_")):
            yield f"{given} is a keyword of Python"
        elif self.name in taken:
            yield f"{given} is taken: {taken[self.name]}"
        elif self.name.startswith(("k3d-", "kube-")):
            yield f"{given} begins with k3d- or kube-, which k3d and Kubernetes keep for themselves"

    def _wrong_title(self, old_name: str) -> Iterator[str]:
        given = f"TITLE={self.title}"
        if not _TITLE.fullmatch(self.title):
            yield (
                f"{given} cannot stand in YAML, JSON, HTML and Markdown alike: it needs letters (A to Z, a to z), "
                "digits, single spaces and hyphens, and begins with a letter"
            )
        elif len(self.title) > LONGEST_TITLE:
            yield f"{given} has {len(self.title)} characters, and {LONGEST_TITLE} fit into the head of the page"
        elif self.title.lower() in NO_TEXT:
            yield f"{given} is no text in YAML"
        elif old_name in self.title.lower():
            yield f"{given} contains the old name"
