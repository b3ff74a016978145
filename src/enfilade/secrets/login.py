"""Being known at an OpenBao or Vault server: by a token, as an application, or as a pod or workload.

    vault:https://bao.example:8200/secret?login=approle

token        the variable `BAO_TOKEN` or `VAULT_TOKEN`, or the file that `VAULT_TOKEN_FILE` names; this is the default
approle      `BAO_ROLE_ID` and `BAO_SECRET_ID`, or the same with `VAULT_`
kubernetes   the token of the pod's service account, or of the file `jwt`, for `role`
jwt          the same at the mount of the JWT method

`at` names the mount of the method where it is not the method's own name, `namespace` the namespace.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from enfilade.errors import Finding, StartError
from enfilade.secrets.unreadable import Unreadable

T = TypeVar("T")

TIMEOUT: Final = 5.0
"""Seconds that the server has for an answer."""
_POD: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_OPTIONS: Final = ("login", "role", "jwt", "at", "namespace")
_METHODS: Final = ("token", "approle", "kubernetes", "jwt")


class Login:
    """A client of one server. It blocks: call it in a thread, and by one at a time."""

    def __init__(self, place: str, environ: Mapping[str, str]) -> None:
        """Raises StartError where the place is no address, or the extra is not installed."""
        parts = urlsplit(place)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.mount = parts.path.strip("/")
        self.address = f"{parts.scheme}://{parts.netloc}"
        self.seconds = 0.0
        """How long the token is good for that we logged in for; 0 where it is not to be renewed."""
        self._options = options
        self._environ = environ
        self._lock = threading.RLock()
        self._client: Any = None
        self._ours = False
        unknown = [name for name in options if name not in _OPTIONS]
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.mount or unknown:
            remedy = f"Write https://HOST:8200/MOUNT, and behind a `?` {', '.join(_OPTIONS)}."
            raise StartError([Finding("secrets", f"{place!r} is no place in a vault.", remedy, "secret")])
        if options.get("login", "token") not in _METHODS:
            what = f"login={options['login']!r} is not known."
            raise StartError([Finding("secrets", what, f"Write one of {', '.join(_METHODS)}.", "secret")])
        self._hvac, self._requests = _hvac()
        self.absent: type[Exception] = self._hvac.exceptions.InvalidPath
        self.invalid: type[Exception] = self._hvac.exceptions.InvalidRequest

    def call(self, work: Callable[[Any], T]) -> T:
        """What the client answers to some work. Raises Unreadable."""
        refused = self._hvac.exceptions.Forbidden
        with self._lock:
            try:
                known = self._client is not None
                try:
                    return work(self._known())
                except refused:
                    if not known:
                        raise
                    self.forget()  # the token may have ended: once more, with a new one
                    return work(self._known())
            except refused as wrong:
                remedy = "Look at its policy, and at what it logs in with."
                raise Unreadable(f"{self.address} does not let us read {self.mount}", remedy) from wrong
            except (self._hvac.exceptions.VaultError, self._requests.RequestException) as wrong:
                remedy = "See whether it runs, is unsealed, and can be reached from here."
                what = f"{self.address} does not answer as it should: {type(wrong).__name__}"
                raise Unreadable(what, remedy) from wrong

    def forget(self) -> None:
        """Log in anew next time."""
        with self._lock:
            if self._client is not None:
                self._client.adapter.close()
            self._client = None

    def close(self) -> None:
        """Revoke the token that we logged in for, and disconnect."""
        with self._lock:
            if self._client is not None and self._ours:
                with suppress(self._hvac.exceptions.VaultError, self._requests.RequestException):  # it ends by itself
                    self._client.auth.token.revoke_self()
            self.forget()

    def _known(self) -> Any:
        if self._client is None:
            client = self._hvac.Client(
                url=self.address, token="", timeout=TIMEOUT, namespace=self._options.get("namespace")
            )
            try:
                self._log_in(client)
            except BaseException:
                client.adapter.close()
                raise
            self._client = client
        return self._client

    def _log_in(self, client: Any) -> None:
        method = self._options.get("login", "token")
        mount = self._options.get("at", method)
        if method == "token":
            client.token = self._said("TOKEN")
            about = client.auth.token.lookup_self()["data"]
            self.seconds = float(about["ttl"]) if about["renewable"] else 0.0
            return
        if method == "approle":
            said = client.auth.approle.login(self._said("ROLE_ID"), self._said("SECRET_ID"), mount_point=mount)
        else:
            token = self._file(self._options.get("jwt", _POD))
            role = self._options.get("role", "")
            if method == "kubernetes":
                said = client.auth.kubernetes.login(role, token, mount_point=mount)
            else:
                said = client.auth.jwt.jwt_login(role, token, path=mount)
        auth = said["auth"]
        client.token = auth["client_token"]
        self._ours = True
        self.seconds = float(auth["lease_duration"]) if auth["renewable"] else 0.0

    def _said(self, name: str) -> str:
        for before in ("BAO_", "VAULT_"):
            if value := self._environ.get(before + name):
                return value
            if file := self._environ.get(f"{before}{name}_FILE"):
                return self._file(file)
        raise Unreadable(
            f"{self.address} needs BAO_{name}", f"Set BAO_{name}, or BAO_{name}_FILE to a file that has it."
        )

    def _file(self, path: str) -> str:
        try:
            return Path(path).read_text("utf-8").strip()
        except OSError as wrong:
            remedy = "Mount the token there, or say where it is."
            raise Unreadable(f"{self.address} cannot be logged in at: {wrong}", remedy) from wrong


def _hvac() -> tuple[Any, Any]:
    try:
        return importlib.import_module("hvac"), importlib.import_module("requests")
    except ModuleNotFoundError as missing:
        remedy = "Install it: pip install 'enfilade[vault]'."
        raise StartError([Finding("secrets", "a vault needs the package hvac.", remedy, "secret")]) from missing
