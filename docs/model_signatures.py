"""Griffe extension: signatures of pydantic models, made from their fields.

Griffe reads source without importing it, and knows the signatures of dataclasses only.
"""

import ast
from typing import Any

from griffe import Attribute, Class, Extension, Function, Parameter, ParameterKind, Parameters


class ModelSignatures(Extension):
    """Give each pydantic model an `__init__` with its fields as keyword parameters."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Add the signature once all members of the class are known."""
        if "__init__" in cls.members or not {"BaseModel", "BaseSettings"} & set(map(str, cls.bases)):
            return
        fields = [member for member in cls.members.values() if isinstance(member, Attribute) and _is_field(member)]
        parameters = Parameters(Parameter("self"), *map(_parameter, fields))
        cls.set_member("__init__", Function("__init__", parameters=parameters, parent=cls, returns="None"))
        cls.bases = []


def _is_field(member: Attribute) -> bool:
    return member.annotation is not None and not member.name.startswith("_") and "property" not in member.labels


def _parameter(member: Attribute) -> Parameter:
    options: dict[str, str] = {}
    default = str(member.value) if member.value is not None else None
    if default and default.startswith("Field("):
        call = ast.parse(default, mode="eval").body
        assert isinstance(call, ast.Call)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg}
        default = options.get("default") or (
            f"{options['default_factory']}()" if "default_factory" in options else None
        )
    name = ast.literal_eval(options["alias"]) if "alias" in options else member.name
    return Parameter(name, annotation=member.annotation, kind=ParameterKind.keyword_only, default=default)
