"""Package faces that load a module only when one of its names is first used.

`documents/extraction.py` runs in a child process with little memory, so importing its package must not load LangChain.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_face(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package that re-exports names of its modules.

    Args:
        package: The package's name.
        places: The module of the package that defines a public name, by that name.
    """

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    def names() -> list[str]:
        return sorted(places)

    return load, names
