"""What the provider keeps in the data folder of the workbench: DATA/identity."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """Private to the user who runs the workbench: whoever reads the key can be any user."""

    folder: Path

    @classmethod
    def of(cls, data: Path) -> "Files":
        return cls(data / "identity")

    @property
    def key(self) -> Path:
        """The signing key, as a JWK."""
        return self.folder / "signing-key.json"

    @property
    def grants(self) -> Path:
        """The refresh tokens, as hashes."""
        return self.folder / "grants.json"

    @property
    def url(self) -> Path:
        """The address of the ingress in front of the provider. The file is there only as long as one runs."""
        return self.folder / "url"
