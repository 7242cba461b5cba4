"""Policies: rules that allow a tool call, refuse it, or ask a human. A policy is data.

- The first rule that fits a call decides.
- Without a fitting rule, reading and contained repeatable effects are allowed. All else asks.
- A worker that has read untrusted text may only read unasked. It may send out only text that it was given word for
  word, since an address of its own making may carry a secret. A rule loosens this only with `tainted = true`.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from orchestrator.errors import ConfigError, shape_problems
from orchestrator.logs import logger
from orchestrator.reviews.answering.expiry import Expiry
from orchestrator.tool_calls.declaration import Risk, Trust, effect_of, is_contained, is_trusted, risk_of
from orchestrator.validation import Checked

_log = logger(__name__)
Permission = Literal["allow", "ask", "refuse"]


class Rule(Checked):
    """One rule of a policy. A condition that is left out fits every call.

    Args:
        action: The action on a call that fits.
        worker: Name of the worker, with `*` and `?` as in file names.
        tool: Name of the tool, with `*` and `?` as in file names.
        risk: Risks of the tool, one of which must be declared.
        trust: Trust of the tool's output.
        tainted: True for workers that have read untrusted text, False for all others.
        budget_used: Least used share (0 to 1) of a limit of the run's budget.
        args: Regular expressions by argument. Each must be found in its argument's text.
        no_other_args: The call has no arguments but those in `args`.
        standing: The rule allows what a human would be asked about, and never what another rule refuses. A human's
            "always allow this" becomes such a rule.
        reason: Shown to the human who is asked, or to the worker that is refused.
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
    no_other_args: bool = False
    standing: bool = False
    reason: str = ""

    @model_validator(mode="after")
    def _stands_for_yes(self) -> Self:
        if self.standing and self.action != "allow":
            raise ValueError("a standing rule allows; others need no 'standing'")
        return self

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
        """True if the rule fits a call. Without arguments, as in a listing, a rule with `args` does not fit."""
        if (self.args or self.no_other_args) and args is None:
            return False
        if self.no_other_args and not (args or {}).keys() <= self.args.keys():
            return False
        return (
            # `fnmatch` would ignore case on Windows, and a rule would decide otherwise there.
            fnmatchcase(worker, self.worker)
            and fnmatchcase(tool.name, self.tool)
            and (not self.risk or risk_of(tool) in self.risk)
            and (self.trust is None or (self.trust == "trusted") == is_trusted(tool))
            and (self.tainted is None or self.tainted == tainted)
            and (self.budget_used is None or used_share >= self.budget_used)
            and all(n in (args or {}) and re.search(p, str((args or {})[n])) for n, p in self.args.items())
        )


class Ruling(BaseModel):
    """The decision of a policy about one call."""

    model_config = ConfigDict(frozen=True)

    action: Permission
    reason: str = ""


class Policy(Checked):
    """Rules about tool calls.

    Args:
        rules: The first one that fits a call decides. Standing rules come after all others.
        always_allow: Risks of tools for which standing rules count.
        review_expires: A rule for reviews that nobody answers, such as `24h -> reject`, or a table of rules by the kind
            of the review. Empty to wait for ever.
        always_allow_tainted: Standing rules with `tainted = true` count for workers that have read untrusted text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    rules: tuple[Rule, ...] = Field(default=(), alias="rule")
    always_allow: tuple[Risk, ...] = ("read", "write")
    always_allow_tainted: bool = False
    review_expires: str | dict[str, str] = ""
    _files: tuple[Path, ...] = PrivateAttr(default=())
    _is_loaded: bool = PrivateAttr(default=False)

    @field_validator("review_expires")
    @classmethod
    def _is_expiry(cls, value: object) -> object:
        try:
            Expiry.parse(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return value

    @cached_property
    def expiry(self) -> Expiry:
        """The rule for reviews that nobody answers."""
        return Expiry.parse(self.review_expires)

    @classmethod
    def of(cls, *rules: Rule) -> Self:
        """Return a policy of rules written in Python."""
        return cls(rules=rules)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a policy from a TOML file with a `[[rule]]` for each rule.

        Raises:
            ConfigError: The file cannot be read, or holds no policy.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the policy {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeError) as error:
            raise ConfigError(f"the policy {path} is not TOML: {error}") from error
        try:
            policy = cls.model_validate(data, by_alias=True, by_name=False)  # a file says `[[rule]]`
            policy._is_loaded = True
            return policy.also_reading(Path(path))
        except ValidationError as error:
            raise ConfigError(f"the policy {path} is wrong at {shape_problems(error, 'its top')[0]}") from error

    def also_reading(self, path: Path) -> Self:
        """Return the policy with the standing rules of a file, whatever they are at the time of a call.

        Args:
            path: The file; it need not exist.
        """
        policy = self.model_copy()
        policy._files = (*(each for each in self._files if each != path), path)
        return policy

    def check(self, workers: Mapping[str, Iterable[BaseTool]]) -> None:
        """Check that every rule names a worker and a tool that exist. A misspelt rule would protect nothing.

        Args:
            workers: The tools of each worker, by the worker's name.

        Raises:
            ConfigError: A rule names an unknown worker or tool.
        """
        tools = {tool.name for owned in workers.values() for tool in owned}
        for rule in self.rules:
            if not any(fnmatchcase(name, rule.worker) for name in workers):
                raise ConfigError(f"a rule of the policy names a worker '{rule.worker}'; there is {_listed(workers)}")
            # In a team without tools, not even `*` would match one.
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
        """Decide about a call.

        Args:
            worker: Name of the worker that calls.
            tool: The tool.
            args: The arguments; None in a listing.
            tainted_by: Sources of the untrusted text that the worker has read.
            sends_unseen: The call sends out text that the worker was not given word for word.
            used_share: The used share of the run's budget, 0 to 1.
        """
        does_more = risk_of(tool) != "read" or (sends_unseen and bool(tainted_by))
        ruling = self._ruling(worker, tool, args, tainted_by, does_more, used_share)
        if ruling.action == "ask" and self._stands(worker, tool, args, bool(tainted_by), used_share):
            return Ruling(action="allow", reason="a human has allowed it for ever")
        return ruling

    def _stands(
        self, worker: str, tool: BaseTool, args: Mapping[str, Any] | None, is_tainted: bool, used_share: float
    ) -> bool:
        """True if a standing rule allows a call that a human would be asked about."""
        if risk_of(tool) not in self.always_allow or (is_tainted and not self.always_allow_tainted):
            return False
        # The files are read at each such call: a run that goes on obeys a rule from the moment that it is written.
        rules = [*(() if self._is_loaded else self.rules), *standing_in(self._files)]
        fitting = (rule for rule in rules if rule.standing and rule.fits(worker, tool, args, is_tainted, used_share))
        return any(rule.tainted or not is_tainted for rule in fitting)

    def _ruling(
        self,
        worker: str,
        tool: BaseTool,
        args: Mapping[str, Any] | None,
        tainted_by: Sequence[str],
        does_more: bool,
        used_share: float,
    ) -> Ruling:
        for rule in self.rules:
            if rule.standing or not rule.fits(worker, tool, args, bool(tainted_by), used_share):
                continue
            # A rule written without taint in mind must not let a worker act on instructions from outside.
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


def standing_in(paths: Iterable[Path]) -> list[Rule]:
    """Return the standing rules in files. A file that is missing or wrong has none: then a human is asked."""
    rules: list[Rule] = []
    for path in paths:
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            rules += [rule for rule in Policy.model_validate(data, by_alias=True, by_name=False).rules if rule.standing]
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            _log.warning("the rules in %s do not count, since they cannot be read: %s", path, error)
    return rules


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
