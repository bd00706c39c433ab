"""Small archives, made like those of Prometheus."""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write_archive(path: Path, members: Mapping[str, str]) -> str:
    """Writes a .tar.gz of these files, and returns its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()
