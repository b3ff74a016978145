"""Envoy with all that the edge does, against Envoy that only passes on, and against other proxies that do no more.

A proxy's throughput is what one core of it takes, so requests per second of its CPU are compared: all proxies
interleaved, the best of the rounds. Before each stands the same client, behind each the same server.
What parts of the edge cost is told by edges without them. Traefik and Caddy come from wheels, the proxy in Python is of
aiohttp, and nginx is measured where it is installed.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

from claims import Claim, tell
from http_load import load

from enfilade import Rate, Scope, signed_in
from enfilade.clock import SystemClock
from enfilade.contract.need import Need
from enfilade.edge import Edge, Gateway, Listen, Route, Share, Upstream, find
from enfilade.identity import DevelopmentIssuer, Tokens

ROUNDS = 12
COUNT = 3200
ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"hello":"you"}'

NGINX = """
daemon off; master_process off; pid %s/nginx.pid; error_log /dev/null;
events {}
http {
    access_log off;
    upstream back { server 127.0.0.1:%d; keepalive 64; }
    server {
        listen 127.0.0.1:%d;
        keepalive_requests 1000000000;
        location / { proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
"""


class Behind(asyncio.Protocol):
    """Answers whatever has come to the end of a head, or of a body in chunks."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if (data.endswith(b"\r\n\r\n") and b"chunked" not in data[:600]) or data.endswith(b"0\r\n\r\n"):
            self._transport.write(ANSWER)


class Proxy:
    """A proxy in a process of its own."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def cpu(self) -> float:
        """Seconds of CPU so far, all threads."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Street:
    """All proxies, each in a process of its own, before one server."""

    def __init__(self, folder: Path) -> None:
        self.proxies: dict[str, Proxy] = {}
        self._folder = folder
        self._gateways: list[Gateway] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    async def edge(self, name: str, edge: Edge) -> None:
        gateway = Gateway(edge, self._folder / f"e{len(self._gateways)}", workers=1)
        await gateway.start()
        assert gateway.process is not None
        self._gateways.append(gateway)
        self.proxies[name] = Proxy(gateway.process.pid, edge.listen[0].port)

    def start(self, name: str, port: int, *command: str) -> None:
        environ = {**os.environ, "GOMAXPROCS": "1", "HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)}
        quiet = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet, cwd=self._folder))
        self.proxies[name] = Proxy(self._processes[-1].pid, port)

    def others(self, back: int) -> None:
        """Those that only pass on."""
        folder, programs = self._folder, Path(sys.executable).parent
        port = free_port()
        (folder / "bare.json").write_text(json.dumps(bare(port, back)))
        flags = ("--concurrency", "1", "--disable-hot-restart", "-l", "error")
        self.start("bare", port, str(find()), "-c", "bare.json", *flags)
        if (caddy := programs / "caddy").exists():
            port = free_port()
            to = ("--to", f"127.0.0.1:{back}")
            self.start("caddy", port, str(caddy), "reverse-proxy", "--from", f"http://:{port}", *to)
        if (traefik := programs / "traefik").exists():
            port = free_port()
            (folder / "routes.yml").write_text(json.dumps(plain(back)))
            point = f"--entrypoints.web.address=127.0.0.1:{port}"
            self.start("traefik", port, str(traefik), point, f"--providers.file.filename={folder}/routes.yml")
        port = free_port()
        server = str(Path(__file__).parent / "support" / "servers" / "python_proxy.py")
        self.start("python", port, sys.executable, server, str(port), f"127.0.0.1:{back}")
        if nginx := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"):
            port = free_port()
            (folder / "nginx.conf").write_text(NGINX % (folder, back, port))
            self.start("nginx", port, nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log"))

    async def end(self) -> None:
        for gateway in self._gateways:
            await gateway.stop(drain=0)
        for process in self._processes:
            process.terminate()
            process.wait(20)


async def main() -> None:
    loop = asyncio.get_running_loop()
    folder = Path(tempfile.mkdtemp())
    behind = [await loop.create_server(Behind, "127.0.0.1", 0) for _ in range(2)]
    back, collector = (one.sockets[0].getsockname()[1] for one in behind)
    issuer = DevelopmentIssuer(folder, "bench")
    token = Tokens(issuer, SystemClock()).issue("ann", scopes=["read"], ttl=3600)
    head = f"GET /hello/ann HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    street = Street(folder)
    try:
        for name, part in PARTS.items():
            await street.edge(name, part(edge(free_port(), back, collector, issuer, folder)))
        street.others(back)
        best = await measure(street.proxies, head)
    finally:
        await street.end()
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
    claims = {
        "bare": "bare Envoy",
        "traefik": "plain Traefik",
        "caddy": "plain Caddy",
        "python": "a plain proxy in Python",
    }
    tell(
        [
            *(
                Claim(
                    f"requests for a second of CPU: the edge over {what}",
                    best[name] / best["ours"],
                    "times",
                    ">= 0.7" if name == "bare" else ">= 1",
                )
                for name, what in claims.items()
                if name in best
            ),
            *(Claim(f"a request through {name}", took, "us CPU", "") for name, took in best.items()),
        ]
    )


async def measure(proxies: dict[str, Proxy], head: bytes) -> dict[str, float]:
    """CPU us of a request through each."""
    best = dict.fromkeys(proxies, float("inf"))
    for proxy in proxies.values():
        await asyncio.to_thread(wait, proxy.port, head)
        await asyncio.to_thread(load, proxy, head, 960)  # type: ignore[arg-type]
    for _ in range(ROUNDS):
        for name, proxy in proxies.items():
            took = await asyncio.to_thread(load, proxy, head, COUNT, connections=32)  # type: ignore[arg-type]
            best[name] = min(best[name], took)
    return best


def asking(edge: Edge, need: Need | None) -> Edge:
    """With another need of its route, and no rate."""
    return replace(edge, routes=tuple(replace(one, need=need, rates=()) for one in edge.routes))


PARTS: dict[str, Callable[[Edge], Edge]] = {
    "ours": lambda edge: edge,
    "ours, without scopes and rates": lambda edge: asking(edge, signed_in),
    "ours, without these and tokens": lambda edge: asking(edge, None),
    "ours, without the log": lambda edge: replace(edge, log=None),
}


def edge(port: int, back: int, collector: int, issuer: DevelopmentIssuer, folder: Path) -> Edge:
    """With tokens, scopes, a rate for each caller, a JSON log, and one trace in a hundred sent."""
    route = Route(
        id="hello.hello",
        path="/hello/{name}",
        methods=("GET",),
        to=(Share(upstream="hello"),),
        need=Scope("read"),
        rates=(Rate("100000000/minute"),),
        body=1_000_000,
        repeatable=True,
    )
    return Edge(
        name="bench",
        listen=(Listen(port=port),),
        upstreams=(Upstream(name="hello", at=(f"127.0.0.1:{back}",)),),
        routes=(route,),
        issuers=(issuer.issuer,),
        log=folder / "access.log",
        otlp=f"http://127.0.0.1:{collector}",
        sample=0.01,
    )


def bare(port: int, back: int) -> dict[str, object]:
    """Envoy that only passes on."""
    extensions = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "router", "typed_config": {"@type": f"{extensions}.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "back"}}
    manager = {
        "@type": f"{extensions}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [router],
    }
    place = {"endpoint": {"address": address(back)}}
    cluster = {
        "name": "back",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "back", "endpoints": [{"lb_endpoints": [place]}]},
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "bare", "address": address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def plain(back: int) -> dict[str, object]:
    """Traefik that only passes on."""
    router = {"rule": "PathPrefix(`/`)", "service": "back", "entryPoints": ["web"]}
    service = {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{back}"}]}}
    return {"http": {"routers": {"all": router}, "services": {"back": service}}}


def address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait(port: int, head: bytes) -> None:
    """Till it passes requests on."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as one:
            one.sendall(head)
            if one.recv(4096).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.05)
    raise RuntimeError(f"nobody answers on {port}")


asyncio.run(main())
