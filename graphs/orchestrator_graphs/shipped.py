"""The example data: beside this file in an installed package, at the top of the repository otherwise."""

from pathlib import Path

_FOLDERS = (Path(__file__).resolve().parent / "examples", Path(__file__).resolve().parents[2] / "examples")


def example(name: str) -> str:
    """Return the path of an example file or folder.

    Args:
        name: Name of the file or folder, such as `countries`.
    """
    return next((str(folder / name) for folder in _FOLDERS if (folder / name).exists()), str(_FOLDERS[0] / name))
