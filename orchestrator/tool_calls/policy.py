"""What a tool may do, and who is asked before it does.

A tool says what it is in its LangChain `metadata`: `risk` (read, write, execute, spend), `effect` (none, idempotent,
once), `trust` of what it returns (trusted, untrusted), `contained` (its effect stays inside the thread's workspace),
`sends` (the argument that leaves the machine, such as an address), `time_limit_s` and `output_limit` (characters).
What a tool does not say is taken for the worse: it may write, its effect must not be repeated, and its output comes
from outside.

A policy is data: rules that say allow, ask or refuse. The first that fits decides. Where none fits, reading is
allowed, a contained effect that may be repeated is allowed, and all else asks a human. Whoever has read untrusted
text may do nothing but read unasked, and send nothing out that it was not given word for word (an address that it
made up itself may carry a secret); a rule loosens that only if it says `tainted = true` itself.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Self

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.errors import ConfigError, shape_problems
from orchestrator.tool_calls.declaration import Risk, Trust, effect_of, is_contained, is_trusted, risk_of

Permission = Literal["allow", "ask", "refuse"]


class Rule(BaseModel):
    """One rule of a policy; what it does not name fits everything.

    Args:
        action: What happens when it fits.
        worker: Name of the worker; `*` and `?` stand for other characters, as in file names.
        tool: Name of the tool, likewise.
        risk: The tool's risk is one of these.
        trust: What the tool returns has this trust.
        tainted: Whether the worker has read untrusted text.
        budget_used: At least this share (0 to 1) of a limit of the run's budget is used.
        args: Regular expressions by argument; each is looked for in the argument's text, and all must be found.
        reason: Shown to whoever is asked or refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Permission
    worker: str = "*"
    tool: str = "*"
    risk: tuple[Risk, ...] = ()
    trust: Trust | None = None
    tainted: bool | None = None
    budget_used: float | None = Field(default=None, ge=0, le=1)
    args: dict[str, str] = Field(default_factory=dict)
    reason: str = ""

    @field_validator("risk", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("args")
    @classmethod
    def _compiles(cls, value: dict[str, str]) -> dict[str, str]:
        for name, pattern in value.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"the pattern for '{name}' is no regular expression: {error}") from None
        return value

    def fits(
        self, worker: str, tool: BaseTool, args: Mapping[str, Any] | None, tainted: bool, used_share: float = 0.0
    ) -> bool:
        """Whether it is about this call. Without arguments, as in a listing, a rule about arguments does not fit."""
        if self.args and args is None:
            return False
        return (
            fnmatchcase(worker, self.worker)
            and fnmatchcase(tool.name, self.tool)
            and (not self.risk or risk_of(tool) in self.risk)
            and (self.trust is None or (self.trust == "trusted") == is_trusted(tool))
            and (self.tainted is None or self.tainted == tainted)
            and (self.budget_used is None or used_share >= self.budget_used)
            and all(n in (args or {}) and re.search(p, str((args or {})[n])) for n, p in self.args.items())
        )


class Ruling(BaseModel):
    """What a policy says to one call."""

    model_config = ConfigDict(frozen=True)

    action: Permission
    reason: str = ""


class Policy(BaseModel):
    """Who may do what unasked.

    Args:
        rules: The first that fits decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...] = Field(default=(), alias="rule")

    @classmethod
    def of(cls, *rules: Rule) -> Self:
        """A policy from rules in Python."""
        return cls(rule=rules)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A policy from a TOML file with a `[[rule]]` for each rule.

        Raises:
            ConfigError: The file cannot be read, or is no policy.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the policy {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeError) as error:
            raise ConfigError(f"the policy {path} is not TOML: {error}") from error
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(f"the policy {path} is wrong at {shape_problems(error, 'its top')[0]}") from error

    def check(self, workers: Mapping[str, Iterable[BaseTool]]) -> None:
        """Looks for rules that name a worker or a tool that there is not: a misspelt rule would protect nothing.

        Args:
            workers: Tools by worker.

        Raises:
            ConfigError: One does.
        """
        tools = {tool.name for owned in workers.values() for tool in owned}
        for rule in self.rules:
            if not any(fnmatchcase(name, rule.worker) for name in workers):
                raise ConfigError(f"a rule of the policy names a worker '{rule.worker}'; there is {_listed(workers)}")
            if rule.tool != "*" and not any(fnmatchcase(name, rule.tool) for name in tools):
                raise ConfigError(f"a rule of the policy names a tool '{rule.tool}'; there is {_listed(tools)}")

    def rule_on(
        self,
        worker: str,
        tool: BaseTool,
        args: Mapping[str, Any] | None,
        tainted_by: Sequence[str] = (),
        *,
        sends_unseen: bool = False,
        used_share: float = 0.0,
    ) -> Ruling:
        """What it says to a call.

        Args:
            worker: Who wants to call.
            tool: What.
            args: With which arguments; None in a listing.
            tainted_by: Sources of the untrusted text that the worker has read.
            sends_unseen: Whether the call sends out what the worker was not given word for word.
            used_share: How much of the run's budget is used, 0 to 1.
        """
        does_more = risk_of(tool) != "read" or (sends_unseen and bool(tainted_by))
        for rule in self.rules:
            if not rule.fits(worker, tool, args, bool(tainted_by), used_share):
                continue
            if rule.action == "allow" and does_more and tainted_by and not rule.tainted:
                continue
            return Ruling(action=rule.action, reason=rule.reason)
        if not does_more:
            return Ruling(action="allow")
        if tainted_by:
            return Ruling(action="ask", reason="the worker has read text from outside: " + "; ".join(tainted_by))
        if is_contained(tool) and effect_of(tool) != "once":
            return Ruling(action="allow")
        return Ruling(action="ask")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
