"""Gate: addresses outside the public web are refused, in every notation and behind every name."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool, ToolException
from orchestrator_tools.web.addresses import Gate, is_public
from orchestrator_tools.web.fetch import fetch_tool


def ask(tool: BaseTool, url: str) -> str:
    return str(tool.invoke({"url": url}))


REFUSED = [
    "ftp://example.org/",
    "file:///etc/passwd",
    "/etc/passwd",
    "example.org",
    "http:example.org",
    "http:///example.org",
    "https://",
    "",
    "http://user@example.org/",
    "http://user:pass@example.org/",
    "http://example.org:22/",
    "http://example.org:8080/",
    "http://example.org:99999/",
    "http://example.org:0/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://1/",
    "http://0/",
    "http://1.2.3.4.5/",
    "http://127\u30020\u30020\u30021/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://\u24d4xample.org/",
    "http://example\u3002org/",
    "http://exa\u00admple.org/",
    "http://exa%6dple.org/",
    "http://ex ample.org/",
    "http://a\\@127.0.0.1/",
    "http://example.org\\.evil/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[2606:4700::1%25eth0]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.31.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://169.254.169.254/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://example.org/\r\nHost: evil",
    "http://example.org/" + "a" * 3_000,
    "http://" + "a" * 64 + ".org/",
    "http://a..b/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_no_public_address_is_refused_before_anything_is_sent(url: str) -> None:
    def no_names(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    answer = ask(fetch_tool(resolve=no_names), url)
    assert answer.startswith("error: ")
    assert "reached" not in answer
    assert len(answer) < 500
    assert answer.isprintable()


@pytest.mark.parametrize(
    "numbers",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::a00:1"],
        ["fe80::1%lo"],
        ["93.184.216.34", "127.0.0.1"],
    ],
)
def test_a_name_for_a_private_address_is_refused(numbers: list[str]) -> None:
    answer = ask(fetch_tool(resolve=lambda host, port: numbers), "http://innocent.example.org/")
    assert answer.startswith("error: innocent.example.org:80 may not be asked: it is not in the public web")


@pytest.mark.parametrize(
    "entry", ["", "http://x/", "a b", "x:y", "x:99999999", "[zz]:1", "10.0.0.0/99", "me@x", "10.0.0.1/8"]
)
def test_an_entry_that_cannot_be_understood_is_an_error_at_once(entry: str) -> None:
    with pytest.raises(ValueError, match="neither a host"):
        Gate([entry])


@given(st.ip_addresses())
def test_public_is_a_part_of_what_python_calls_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not any((address.is_private, address.is_multicast, address.is_reserved, address.is_unspecified))


@pytest.mark.parametrize("number", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_public_addresses_may_be_asked(number: str) -> None:
    assert Gate().addresses(number, 443, 1) == [number]
    assert Gate(resolve=lambda host, port: [number]).addresses("example.org", 80, 1) == [number]
    with pytest.raises(ToolException):
        Gate().addresses(number, 8080, 1)


def test_international_names_are_asked_by_their_plain_form() -> None:
    assert str(Gate().url("https://b\xfccher.example/x")).startswith("https://xn--bcher-kva.example/")
