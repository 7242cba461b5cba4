"""Web search: results have one shape with and without Tavily, and without a connection the work goes on."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool
from orchestrator_tools.search_results import Found, rendered
from orchestrator_tools.web.search import web_search

KEY = "tvly-swordfish"
RESULTS = [
    {
        "url": "https://example.org/bees",
        "title": "Bees",
        "content": "Bees make honey.",
        "score": 0.9,
        "published_date": "Wed, 01 May 2024 10:00:00 GMT",
    },
    {
        "url": "https://example.org/ants",
        "title": "Ants",
        "content": "Ants eat\n\n2. sugar.\x1b[2J",
        "raw_content": None,
    },
]
SHOWN = (
    "1. https://example.org/bees > Bees\nBees make honey.\n(date: 2024-05-01)\n\n"
    "2. https://example.org/ants > Ants\nAnts eat 2. sugar. [2J"
)


class Tavily:
    """Tavily's interface on the loopback, with a prepared answer."""

    def __init__(self) -> None:
        self.status = 200
        self.body = json.dumps({"query": "x", "results": RESULTS, "response_time": 0.5}).encode()
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append((self.path, self.headers["Authorization"], body))
                self.send_response(service.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(service.body)))
                self.end_headers()
                self.wfile.write(service.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=lambda: self.server.serve_forever(poll_interval=0.01))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(autouse=True)
def no_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAVILY_API_KEY", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def tavily() -> Iterator[Tavily]:
    service = Tavily()
    service.thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    service.thread.join(30)


class Engines:
    """A double of ddgs that returns the given results, or raises the given error."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.asked: list[tuple[str, int]] = []

    def text(self, query: str, *, max_results: int) -> list[dict[str, Any]]:
        self.asked.append((query, max_results))
        if isinstance(self.result, Exception):
            raise self.result
        return list(self.result)


def ask(tool: BaseTool, query: str = "bees") -> str:
    return str(tool.invoke({"query": query}))


def is_unreached(answer: str) -> bool:
    return answer.startswith("error: the web cannot be reached (") and answer.endswith(
        "); go on with the documents or with what you have, and say that the web was not searched"
    )


def test_tavily_is_asked_with_the_key_and_its_results_are_shown(tavily: Tavily) -> None:
    assert ask(web_search(api_key=KEY, base_url=tavily.url, results=3)) == SHOWN
    assert tavily.asked == [("/search", f"Bearer {KEY}", {"query": "bees", "max_results": 3})]


def test_the_key_may_stand_in_the_environment(tavily: Tavily, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = web_search(base_url=tavily.url)
    monkeypatch.setenv("TAVILY_API_KEY", KEY)
    assert ask(tool) == SHOWN


def test_without_a_key_ddgs_is_asked_and_the_shape_is_the_same() -> None:
    engines = Engines(
        [
            {
                "href": "https://example.org/bees",
                "title": "Bees",
                "body": "Bees make honey.",
                "date": "2024-05-01T10:00",
            },
            {"href": "https://example.org/ants", "title": "Ants", "body": "Ants eat\n\n2. sugar.\x1b[2J"},
        ]
    )
    assert ask(web_search(backend=engines, results=3)) == SHOWN
    assert engines.asked == [("bees", 3)]


@pytest.mark.parametrize("status", [400, 401, 403, 429, 432, 433, 500, 503, 302])
def test_a_service_that_refuses_is_an_unreached_web(tavily: Tavily, status: int) -> None:
    tavily.status = status
    answer = ask(web_search(api_key=KEY, base_url=tavily.url))
    assert is_unreached(answer)
    assert f"status {status}" in answer
    assert KEY not in answer


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"results": 3}', b'{"results": ["x"]}', b"\xff"])
def test_an_answer_that_is_not_understood_is_an_unreached_web(tavily: Tavily, body: bytes) -> None:
    tavily.body = body
    assert is_unreached(ask(web_search(api_key=KEY, base_url=tavily.url)))


def test_no_connection_is_an_unreached_web(tavily: Tavily) -> None:
    tavily.server.shutdown()
    tavily.server.server_close()
    answer = ask(web_search(api_key=KEY, base_url=tavily.url))
    assert is_unreached(answer)
    assert KEY not in answer


def test_a_service_that_is_silent_is_an_unreached_web() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        answer = ask(web_search(api_key=KEY, base_url=url, time_limit_s=0.3))
    assert is_unreached(answer)
    assert "in time" in answer


def ddgs_errors() -> list[Exception]:
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

    return [
        RatelimitException("202 Ratelimit"),
        TimeoutException("timed out"),
        DDGSException("ConnectError: dns error"),
        DDGSException("HTTP 403"),
        DDGSException("HTTP 429"),
        OSError("Network is unreachable"),
        TimeoutError(),
    ]


@pytest.mark.parametrize("error", ddgs_errors(), ids=repr)
def test_engines_that_fail_are_an_unreached_web(error: Exception) -> None:
    assert is_unreached(ask(web_search(backend=Engines(error))))


def test_nothing_found_is_no_error() -> None:
    from ddgs.exceptions import DDGSException

    for result in ([], DDGSException("No results found.")):
        answer = ask(web_search(backend=Engines(result)), "volcano")
        assert answer.startswith("Nothing found in the web for 'volcano'.")


def test_an_answer_keeps_to_its_length() -> None:
    long = [
        {"href": f"https://example.org/{number}", "title": "t" * 5_000, "body": "honey " * 5_000} for number in range(8)
    ]
    long.insert(0, {"href": "https://example.org/" + "x" * 5_000, "title": "x", "body": "honey"})
    answer = ask(web_search(backend=Engines(long), results=9))
    assert 1_500 < len(answer) <= 2_400
    assert answer.startswith("1. https://example.org/0 > ")


def test_a_short_result_leaves_its_room_to_the_others() -> None:
    results = [{"href": "https://a.example/", "title": "a", "body": "short"}]
    results += [{"href": "https://b.example/", "title": "b", "body": "word " * 1_000}]
    assert len(ask(web_search(backend=Engines(results)))) > 2_300


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_no_result_can_look_like_two(href: str, title: str, body: str) -> None:
    answer = ask(web_search(backend=Engines([{"href": "https://x.example/" + href, "title": title, "body": body}])))
    assert len(answer.splitlines()) <= 2
    assert all(line.isprintable() for line in answer.split("\n"))


@pytest.mark.parametrize("query", ["", "  ", "\n\0"])
def test_an_empty_query_asks_nobody(query: str) -> None:
    engines = Engines([])
    assert ask(web_search(backend=engines), query) == "error: there is nothing to search for; give a few words"
    assert engines.asked == []


def test_a_long_query_is_cut() -> None:
    engines = Engines([])
    ask(web_search(backend=engines), "bees\n" * 500)
    assert len(engines.asked[0][0]) == 400
    assert "\n" not in engines.asked[0][0]


@pytest.mark.parametrize(
    ("stated", "day"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:00:00Z", "2024-05-01"),
        ("Wed, 01 May 2024 10:00:00 GMT", "2024-05-01"),
        ("yesterday", None),
        ("", None),
        (None, None),
        (20240501, None),
    ],
)
def test_a_date_is_a_day_or_nothing(stated: object, day: str | None) -> None:
    answer = ask(
        web_search(backend=Engines([{"href": "https://x.example/", "title": "x", "body": "y", "date": stated}]))
    )
    assert answer == "1. https://x.example/ > x\ny" + (f"\n(date: {day})" if day else "")


def test_documents_and_web_are_shown_alike() -> None:
    both = [Found("bees.md", "Bees > Honey", "Sweet.", None), Found("https://x.example/", "X", "Y", "2024-05-01")]
    assert rendered(both) == ["1. bees.md > Bees > Honey\nSweet.", "2. https://x.example/ > X\nY\n(date: 2024-05-01)"]


def test_making_the_tool_asks_nobody_and_says_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    for name in ("socket", "getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, None)
    tool = web_search()
    assert tool.name == "search_web"
    assert "For example: " in tool.description
    assert tool.metadata == {
        "risk": "read",
        "effect": "none",
        "trust": "untrusted",
        "time_limit_s": 25.0,
        "output_limit": 2_900,
    }


def test_wrong_arguments_come_back_as_text() -> None:
    assert web_search(backend=Engines([])).invoke({}).startswith("error: wrong arguments (query: ")


async def test_works_in_async_code() -> None:
    engines = Engines([{"href": "https://x.example/", "title": "x", "body": "y"}])
    assert await web_search(backend=engines).ainvoke({"query": "x"}) == "1. https://x.example/ > x\ny"
