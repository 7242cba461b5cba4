"""Where the example data is: in an installed package beside this file, in the repository at its top."""

from pathlib import Path

_PLACES = (Path(__file__).resolve().parent / "examples", Path(__file__).resolve().parents[2] / "examples")


def example(name: str) -> str:
    """The path of an example file or folder.

    Args:
        name: Its name, such as `countries`.
    """
    return next((str(place / name) for place in _PLACES if (place / name).exists()), str(_PLACES[0] / name))
