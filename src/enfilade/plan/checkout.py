"""Code that is elsewhere: a folder, or a commit of the repository here, which is unpacked once."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from enfilade.errors import Finding, StartError


def code(said: str, folder: str, where: str = "--from") -> Path:
    """The folder of what was said: that folder, or a commit, branch or tag, unpacked below `<folder>/releases`.

    Raises StartError where there is neither; `where` is who said it.
    """
    if Path(said).is_dir():
        return Path(said).resolve()
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{said}^{{commit}}").decode().strip()
    if not commit:
        what = f"{said!r} is no folder, and no commit that git knows here."
        raise StartError(
            [Finding(where, what, "Name a folder, or a commit, branch or tag of this repository.", "plan")]
        )
    label = re.sub(r"[^A-Za-z0-9.-]+", "-", said).strip("-.")[:40]
    place = Path(folder).resolve() / "releases" / (f"{label}-{commit[:12]}" if label != commit[:12] else commit[:12])
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as new, tarfile.open(fileobj=_tar(commit)) as tar:
            tar.extractall(Path(new) / "code", filter="data")
            (Path(new) / "code").rename(place)
    return place


def clean() -> str:
    """The commit that is checked out in the working folder, by its first letters; `""` where the code there is not just
    that: a file was changed, or a module is not in it."""
    status = _git("status", "--porcelain", "--untracked-files=all", "--", ".").decode("utf-8", "replace")
    if any(not line.startswith("??") or line.rstrip('"').endswith(".py") for line in status.splitlines()):
        return ""
    return _git("rev-parse", "--verify", "--quiet", "HEAD").decode().strip()[:12]


def _tar(commit: str) -> io.BytesIO:
    """What the commit has of the working folder, and below it."""
    return io.BytesIO(_git("archive", "--format=tar", commit))


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607  (their own git)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""
