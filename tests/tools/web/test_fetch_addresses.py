"""Fetching: addresses outside the public web get no request, neither directly nor by redirects."""

import socket
import ssl
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool
from orchestrator_tools.web.fetch import fetch_tool

from tests.tools.web.loopback_site import Site, ask


def test_redirects_are_followed_and_the_last_address_is_said(site: Site, fetch: BaseTool) -> None:
    site.replies["/a"] = (302, {"Location": "b?x=1"}, b"")
    site.replies["/b?x=1"] = (301, {"Location": site.url("/c")}, b"")
    url = site.page("/c", "arrived")
    assert ask(fetch, site.url("/a")) == f"{url}\n\narrived"


def test_redirects_without_end_are_an_error(site: Site, fetch: BaseTool) -> None:
    site.replies["/a"] = (302, {"Location": "/a"}, b"")
    assert "more than 5 times" in ask(fetch, site.url("/a"))
    assert len(site.asked) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/",
        "http://localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//10.0.0.1/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http://me:pass@example.org/",
        "http://2130706433/",
        "http://[::",
    ],
)
def test_every_redirect_is_checked(site: Site, fetch: BaseTool, target: str) -> None:
    site.replies["/a"] = (302, {"Location": target}, b"")
    assert ask(fetch, site.url("/a")).startswith("error: ")
    assert len(site.asked) == 1


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_that_is_asked(site: Site) -> None:
    """DNS rebinding: a second answer of the name server would give another address."""
    looked_up: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["127.0.0.2"]

    tool = fetch_tool(allow=["127.0.0.1/32", f"127.0.0.1:{site.port}"], resolve=rebinding)
    site.page("/x", "here")
    url = f"http://rebind.example.org:{site.port}/x"
    assert ask(tool, url) == f"{url}\n\nhere"
    assert looked_up == ["rebind.example.org"]
    assert site.asked == [(f"rebind.example.org:{site.port}", "/x")]
    assert "(127.0.0.2)" in ask(tool, url)  # a new question is a new check
    assert len(site.asked) == 1


def test_the_system_resolver_is_not_asked_after_the_check(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: list[object] = []
    real = socket.getaddrinfo

    def watched(host: object, *rest: object, **named: object) -> object:
        hosts.append(host)
        return real(host, *rest, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    tool = fetch_tool(allow=[f"localtest:{site.port}"], resolve=lambda host, port: ["127.0.0.1"])
    site.page("/x", "here")
    assert ask(tool, f"http://localtest:{site.port}/x").endswith("here")
    assert set(hosts) <= {"127.0.0.1"}


@pytest.mark.parametrize("entry", ["127.0.0.1:{}", "localhost.test:{}", "LOCALHOST.test:{}"])
def test_what_is_allowed_is_asked_at_that_port_only(site: Site, entry: str) -> None:
    site.page("/x", "here")
    tool = fetch_tool(allow=[entry.format(site.port)], resolve=lambda host, port: ["127.0.0.1"])
    assert ask(tool, f"http://localhost.test:{site.port}/x").endswith("here")
    assert "may not be asked" in ask(tool, f"http://localhost.test:{site.port + 1}/x")
    assert "may not be asked" in ask(tool, f"http://127.0.0.2:{site.port}/x")


def test_a_name_that_nobody_knows_is_an_error() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert "error: the page cannot be reached" in ask(fetch_tool(resolve=unknown), "http://nowhere.example/")


def test_no_proxy_of_the_environment_is_used(site: Site, fetch: BaseTool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert ask(fetch, site.page("/x", "here")).endswith("here")


def certificate(folder: Path, name: str) -> Path:
    x509 = pytest.importorskip("cryptography.x509", reason="making a certificate needs cryptography")
    import datetime

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "server.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_tls_asks_for_the_certificate_of_the_name_not_of_the_number(site: Site, tmp_path: Path) -> None:
    file = certificate(tmp_path, "good.example.org")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    site.server.socket = server.wrap_socket(site.server.socket, server_side=True)
    hosts = [f"{name}.example.org:{site.port}" for name in ("good", "evil")]
    trusting = ssl.create_default_context(cafile=str(file))
    site.page("/x", "here")

    def tool(tls: ssl.SSLContext | None) -> BaseTool:
        return fetch_tool(allow=hosts, resolve=lambda host, port: ["127.0.0.1"], tls=tls, time_limit_s=60)

    assert ask(tool(trusting), f"https://{hosts[0]}/x").endswith("here")
    assert "certificate" in ask(tool(trusting), f"https://{hosts[1]}/x")
    assert "certificate" in ask(tool(None), f"https://{hosts[0]}/x")
