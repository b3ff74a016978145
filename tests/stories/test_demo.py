"""`make demo`: what it prints, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def demo(folder: Path, **environ: str) -> subprocess.Popen[str]:
    """The demo, with its own files in a folder of the test's."""
    return subprocess.Popen(
        [sys.executable, "-m", "shop.demo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "PYTHONUNBUFFERED": "1", "PORT": "0", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_once_it_buys_shows_what_happened_and_ends(tmp_path: Path) -> None:
    with demo(tmp_path, ONCE="1") as process:
        said, complaints = process.communicate(timeout=60)

    assert process.returncode == 0
    assert complaints == ""
    assert "logs in " in said
    assert "2 x Mug" in said
    assert "inventory.reserve" in said
    assert sum(line.startswith("Ready: http://127.0.0.1:") for line in said.splitlines()) == 1


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        url = next(line for line in process.stdout if line.startswith("Ready: ")).split()[1]
        with urllib.request.urlopen(f"{url}/products") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=60)

    assert (process.returncode, said, complaints) == (0, "", "")


def test_a_taken_port_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with demo(tmp_path, PORT=port) as process:
            said, complaints = process.communicate(timeout=60)

    assert process.returncode == 1
    assert said == ""
    assert len(complaints.splitlines()) == 1
    assert port in complaints
    assert "PORT=" in complaints
