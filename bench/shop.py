"""The whole shop in one process: its memory, and how soon it is ready."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

import psutil
from claims import Claim, tell

ROUNDS = 4
PORT = 18431
EXAMPLES = Path(__file__).parents[1] / "examples"


def once() -> tuple[float, float]:
    """(seconds until ready, MB resident after a few requests)."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(EXAMPLES / "shop" / "enfilade.toml", folder)
        start = time.monotonic()
        shop = subprocess.Popen(
            [sys.executable, "-m", "enfilade.cli", "run", "shop.app:app", "--port", str(PORT)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(EXAMPLES)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=1).close()
                    break
                except OSError:
                    if shop.poll() is not None or time.monotonic() - start > 30:
                        raise RuntimeError("the shop did not start") from None
                    time.sleep(0.02)
            ready = time.monotonic() - start
            for path in ("products", "search?q=mug", "currencies", "openapi.json", "jwks.json") * 25:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/{path}", timeout=5).close()
            resident = psutil.Process(shop.pid).memory_info().rss / 1e6
        finally:
            shop.terminate()
            shop.wait(20)
    return ready, resident


rounds = [once() for _ in range(ROUNDS)]
tell(
    [
        Claim("the shop in one process: resident memory", min(one[1] for one in rounds), "MB", "<= 120"),
        Claim("the shop in one process: ready", min(one[0] for one in rounds), "seconds", "<= 2"),
    ]
)
