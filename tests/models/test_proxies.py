"""Addresses in one spelling, without what must not be kept."""

import pytest

from orchestrator.models.proxies import plain_address


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("HTTPS://API.OpenAI.com:443/v1/", "https://api.openai.com/v1"),
        ("https://api.openai.com./v1", "https://api.openai.com/v1"),
        ("http://name:s3cret@127.0.0.1:8080/v1?api-key=k#part", "http://127.0.0.1:8080/v1"),
        ("http://[::1]:1234/v1", "http://[::1]:1234/v1"),
        ("http://localhost/v1", "http://localhost/v1"),
        ("https://gateway.example.org/sk-abcdefghij/v1", "https://gateway.example.org/***/v1"),
        ("no address", "no address"),
    ],
)
def test_an_address_is_compared_and_shown_in_one_spelling_without_secrets(address: str, plain: str) -> None:
    assert plain_address(address) == plain
