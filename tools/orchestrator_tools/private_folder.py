"""Folders that only their owner may read."""

from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents for the owner alone. Folders that exist keep their mode.

    Args:
        folder: The folder.

    Raises:
        OSError: The folder cannot be created.
    """
    if folder.is_dir():
        return
    make_private_folder(folder.parent)  # `mkdir(parents=True)` gives parents the mode of the umask
    folder.mkdir(mode=0o700, exist_ok=True)
