"""Secrets that a test says: to its own process, and to the others by files in a folder that is theirs alone."""

from __future__ import annotations

from pathlib import Path

from enfilade.secrets.plain import Files, Told


class Spoken(Told):
    """The end of the test."""

    def __init__(self) -> None:
        super().__init__()
        self._folder: Path | None = None

    def say(self, name: str, value: str) -> None:
        """What a secret is from now on."""
        self.values[name] = value
        if self._folder is not None:
            self._write(self._folder, name, value)

    def share(self, folder: Path) -> None:
        """Tell it to other processes as well, by `Heard(folder)`."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        for name, value in self.values.items():
            self._write(folder, name, value)

    def _write(self, folder: Path, name: str, value: str) -> None:
        file = folder / name.replace("#", "/")
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}")
        new.touch(0o600)
        new.write_text(f"{value}\n", "utf-8")
        new.replace(file)


class Heard(Files):
    """The end of another process."""

    def remedy(self, name: str) -> str:
        return Told().remedy(name)
