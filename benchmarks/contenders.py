"""Who is measured: how each is had, started before an upstream, and asked; and how much each is able to carry."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks import riverrun_setting
from benchmarks.asking import KEY
from benchmarks.processes import PROXY_CORE, Tree, free_port, running
from benchmarks.programs import PEERS, installed, node_package, python, said


@dataclass(frozen=True)
class Place:
    """Where a contender is started: a folder of its own, its port, and its upstream's."""

    folder: Path
    port: int
    upstream: int


@dataclass(frozen=True)
class Start:
    """How it is started, and what it must be told with each request."""

    command: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    headers: Sequence[str] = ()


@dataclass(frozen=True)
class Contender:
    """`streams` of 50 chunks/s and `rate` of short streams a second are the most that it is asked for: more than one
    core of it can do tells nothing about what it costs."""

    name: str
    title: str
    start: Callable[[Place], Start]
    version: Callable[[], str]
    streams: int = 100_000
    rate: int = 50
    slow: bool = False


@dataclass(frozen=True)
class Running:
    """A contender that listens. `tree` is empty for direct."""

    contender: Contender
    tree: Tree
    headers: Sequence[str]


@contextmanager
def started(contender: Contender, folder: Path, upstream: int, core: int | None = PROXY_CORE) -> Iterator[Running]:
    """Starts it before the upstream. Raises Missing or NotStarted."""
    if contender is DIRECT:
        yield Running(contender, Tree(0, upstream), ())
        return
    place = Place(folder / contender.name, free_port(), upstream)
    place.folder.mkdir(parents=True, exist_ok=True)
    start = contender.start(place)
    with running(start.command, place.port, place.folder / "log", core, start.environ) as tree:
        yield Running(contender, tree, start.headers)


NGINX = """\
worker_processes 1;
error_log stderr;
pid {folder}/nginx.pid;
events {{ worker_connections 20000; }}
worker_rlimit_nofile 32768;
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  scgi_temp_path {folder}; uwsgi_temp_path {folder};
  upstream play {{ server 127.0.0.1:{upstream}; keepalive 512; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://play;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""
HAPROXY = """\
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend front
  bind 127.0.0.1:{port}
  default_backend play
backend play
  server play 127.0.0.1:{upstream}
"""


def _written(place: Place, name: str, text: str) -> str:
    file = place.folder / name
    file.write_text(text.format(folder=place.folder, port=place.port, upstream=place.upstream))
    return str(file)


def _nginx(place: Place) -> Start:
    program = installed("nginx", "nginx-light")
    return Start([program, "-c", _written(place, "nginx.conf", NGINX), "-p", str(place.folder), "-g", "daemon off;"])


def _haproxy(place: Place) -> Start:
    return Start([installed("haproxy"), "-f", _written(place, "haproxy.cfg", HAPROXY), "-db"])


def _riverrun(place: Place) -> Start:
    return Start(*riverrun_setting.start(place.folder, place.port, place.upstream))


def _litellm(place: Place) -> Start:
    row = {"model": "openai/play-*", "api_base": f"http://127.0.0.1:{place.upstream}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "play-*", "litellm_params": row}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    file = place.folder / "litellm.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    program = python("litellm").with_name("litellm")
    command = [str(program), "--config", str(file), "--host", "127.0.0.1", "--port", str(place.port)]
    return Start(command, {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY})


def _portkey(place: Place) -> Start:
    node, home = node_package("portkey")
    program = home / "node_modules/@portkey-ai/gateway/build/start-server.js"
    host = f"http://127.0.0.1:{place.upstream}/v1"
    return Start(
        [str(node), str(program), f"--port={place.port}", "--headless"],
        {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
        ["x-portkey-provider: openai", f"x-portkey-custom-host: {host}"],
    )


def _fastapi(place: Place) -> Start:
    words = ["-m", "uvicorn", "naive:app", "--app-dir", str(PEERS), "--port", str(place.port)]
    return Start([str(python("fastapi")), *words], {"UPSTREAM": f"http://127.0.0.1:{place.upstream}/v1"})


def _numbers(text: str) -> str:
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "unknown"


def _packages(environment: str, *names: str) -> str:
    lines = said(str(python(environment)), "-c", "import sys; from importlib.metadata import version\n"
                 "for name in sys.argv[1:]: print(name, version(name))", *names)  # fmt: skip
    return ", ".join(lines.splitlines())


def _portkey_version() -> str:
    node, home = node_package("portkey")
    modules = home / "node_modules"
    names = ("@portkey-ai/gateway", "@hono/node-server")
    found = [f"{name} {json.loads((modules / name / 'package.json').read_text())['version']}" for name in names]
    return ", ".join([*found, f"node {_numbers(said(str(node), '--version'))}"])


def _riverrun_version() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("uvloop", "httptools", "msgspec"))
    return f"{version('riverrun')} with {packages}, Python {_numbers(sys.version)}"


DIRECT = Contender("direct", "direct", lambda place: Start(), lambda: "upstream.c, no proxy")
CONTENDERS = (
    DIRECT,
    Contender("nginx", "nginx", _nginx, lambda: _numbers(said(installed("nginx", "nginx-light"), "-v"))),
    Contender("haproxy", "HAProxy", _haproxy, lambda: _numbers(said(installed("haproxy"), "-v"))),
    Contender("riverrun", "riverrun", _riverrun, _riverrun_version),
    Contender("portkey", "Portkey gateway", _portkey, _portkey_version, streams=50),
    Contender(
        "fastapi", "FastAPI + httpx", _fastapi, lambda: _packages("fastapi", "fastapi", "httpx", "uvicorn"), streams=30
    ),
    Contender(
        "litellm",
        "LiteLLM proxy",
        _litellm,
        lambda: _packages("litellm", "litellm"),
        streams=5,
        rate=5,
        slow=True,
    ),
)
