"""Options that several commands share, and what the options about limits mean."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.budget.amounts import whole_amount
from orchestrator.errors import ConfigError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")

Thread = Annotated[str, typer.Argument(help="The thread's id.")]
Db = Annotated[
    str | None, typer.Option("--db", help="Database URL or path.", show_default="a file in your data folder")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]
JsonStream = Annotated[
    bool,
    typer.Option("--json-stream", help="Print each event as one JSON line, and the run as the last."),
]

TeamName = Annotated[str, typer.Option("--team", help="A team that ships, or module:attribute for a team of your own.")]
ModelName = Annotated[str | None, typer.Option("--model", help="Name of the model at the endpoint.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="URL of an OpenAI-compatible endpoint.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="TOML file with rules: allow, ask about or refuse a tool call.")
]
McpFile = Annotated[
    Path | None, typer.Option("--mcp", help="JSON file that names MCP servers. A human is asked before each call.")
]
Docs = Annotated[Path | None, typer.Option("--docs", help="Folder of documents for the researcher.")]
AutoApprove = Annotated[
    bool,
    typer.Option(
        "--auto-approve",
        help="Ask no human. Workers that have read untrusted text are refused risky tool calls.",
    ),
]
FallbackModel = Annotated[
    list[str] | None,
    typer.Option("--fallback-model", help="Model to ask when the first cannot be reached. Repeat it for more."),
]
EconomyModel = Annotated[
    str | None, typer.Option("--economy-model", help="Cheaper model to ask when the budget is nearly spent.")
]

MaxTokens = Annotated[
    str | None,
    typer.Option(
        "--max-tokens",
        metavar="N|none",
        help="Most tokens, prompts and answers together, or none for no limit.",
        show_default="500000, unless the team or another --max-… says otherwise",
    ),
]
MoreTokens = Annotated[
    str | None,
    typer.Option(
        "--max-tokens", metavar="N|none", help="Most tokens, prompts and answers together, or none for no limit."
    ),
]
MaxCost = Annotated[float | None, typer.Option("--max-cost", help="Most US dollars.")]
MaxTime = Annotated[str | None, typer.Option("--max-time", help="Most running time: 90 (seconds), 10m or 1h.")]
MaxCalls = Annotated[int | None, typer.Option("--max-calls", help="Most requests to models.")]
Price = Annotated[
    str | None,
    typer.Option("--price", help="INPUT,OUTPUT in US dollars per million tokens, for models without a known price."),
]
RequestsPerMinute = Annotated[
    int | None, typer.Option("--rpm", min=1, help="Most requests per minute to an endpoint, all workers together.")
]
TokensPerMinute = Annotated[
    int | None, typer.Option("--tpm", min=1, help="Most tokens per minute at an endpoint, all workers together.")
]


def full_path(path: Path | None) -> str | None:
    """Return a path that still holds when the thread is resumed in another folder, or None for none."""
    return None if path is None else str(path.resolve())


def budget_of(
    max_tokens: str | None,
    max_cost: float | None,
    max_time: str | None,
    max_calls: int | None,
    price: str | None = None,
) -> dict[str, Any]:
    """Return the limits that the options name, JSON-plain. No limit of tokens is named by `--max-tokens none`.

    Raises:
        ConfigError: An option has no sensible value.
    """
    tokens = None if max_tokens is None else _tokens(max_tokens)
    for name, value in (("--max-tokens", tokens), ("--max-cost", max_cost), ("--max-calls", max_calls)):
        if value is not None and value <= 0:
            raise ConfigError(f"{name} must be over 0")
    limits: dict[str, Any] = {
        "tokens": tokens,
        "cost_usd": max_cost,
        "wall_clock_s": None if max_time is None else _seconds(max_time),
        "model_calls": max_calls,
        "prices": None if price is None else {"*": _price(price)},  # one price for every model of the run
    }
    is_unlimited = max_tokens is not None and tokens is None
    return {n: value for n, value in limits.items() if value is not None or (n == "tokens" and is_unlimited)}


def team_settings(
    team: str, model: str | None, base_url: str | None, docs: Path | None, policy: Path | None, mcp: Path | None
) -> dict[str, Any]:
    """Return what is recorded with a thread so that `resume` opens the same team, model and files."""
    return {
        "team": team,
        "model": model,
        "base_url": base_url,
        "docs": full_path(docs),
        "policy": full_path(policy),
        "mcp": full_path(mcp),
    }


def _tokens(text: str) -> int | None:
    try:
        return whole_amount(text)
    except ValueError as error:
        told = str(error).replace("cost_usd", "--max-cost")
        raise ConfigError(f"--max-tokens '{text}': {told}") from None


def _seconds(text: str) -> float:
    duration = _DURATION.fullmatch(text.strip().lower())
    if duration is None or float(duration.group(1)) <= 0:
        raise ConfigError(f"--max-time '{text}' is no time: write seconds, or a number with s, m or h, as in 10m")
    return float(duration.group(1)) * _UNITS[duration.group(2)]


def _price(text: str) -> dict[str, float]:
    try:
        asked, answered = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--price '{text}' is no price: write INPUT,OUTPUT in USD for a million tokens") from None
    if asked < 0 or answered < 0:
        raise ConfigError("--price must not be below 0")
    return {"input_usd": asked, "output_usd": answered}
