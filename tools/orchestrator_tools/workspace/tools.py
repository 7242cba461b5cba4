"""Tools for the workspace of a thread: a folder that its workers share, and cannot leave.

The docstrings of the four tools are their descriptions for models.
"""

from collections.abc import Callable
from pathlib import Path

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException

from orchestrator_tools.answers import bad_arguments, decode, page
from orchestrator_tools.workspace.contained_folder import Artifact, ContainedFolder, Limits, encoded

__all__ = ["Artifact", "artifacts", "workspace_tools"]


def artifacts(workspace: Path) -> list[Artifact]:
    """Return the files that workers have put into a workspace, by name; none if the folder is missing.

    Hidden files, links, pipes and files with several names are left out.

    Args:
        workspace: The thread's folder.

    Raises:
        ToolException: The folder cannot be used.
    """
    if not workspace.is_dir():
        return []
    return ContainedFolder(workspace, Limits()).artifacts()


def workspace_tools(
    *,
    folder: str | Path | None = None,
    max_file_bytes: int = 2_000_000,
    max_files: int = 1_000,
    max_total_bytes: int = 50_000_000,
    page_characters: int = 2_400,
) -> list[BaseTool]:
    """Return the tools `list_files`, `read_file`, `write_file` and `patch_file` for the workspace of a thread.

    The run's configuration names the folder as `workspace`. Writing declares the `risk` "write" and is `contained`:
    nothing outside the workspace changes, and the same call again changes nothing more. The declaration does not
    cover the use of the files afterwards.

    Args:
        folder: The folder if the configuration names none.
        max_file_bytes: Most bytes of one file.
        max_files: Most files and folders.
        max_total_bytes: Most bytes of all files together.
        page_characters: Most characters of one answer. The default fits a fifth of a window of 4,096 tokens.
    """
    limits = Limits(max_file_bytes, max_files, max_total_bytes)

    def opened(config: RunnableConfig) -> ContainedFolder:
        named = config.get("configurable", {}).get("workspace") or folder
        if not named:
            raise ToolException("error: there is no workspace here; give the text in your answer instead")
        return ContainedFolder(Path(named), limits)

    def list_files(config: RunnableConfig) -> str:
        """Lists the files in the workspace, with their sizes. The other workers' files are there too.

        For example: list_files()
        """
        lines = [f"{name} ({size:,} bytes)" for name, size in opened(config).names().items()]
        if not lines:
            return "(there are no files in the workspace yet)"
        shown, room = [], page_characters
        for line in lines:
            room -= len(line) + 1
            if room > 0:
                shown.append(line)
        if left_out := len(lines) - len(shown):
            shown.append(f"[… and {left_out} more files; those can be read too, if you know their names]")
        return "\n".join(shown)

    def read_file(name: str, config: RunnableConfig, start: int = 0) -> str:
        """Reads a text file of the workspace from its beginning or, page by page, from where you stopped.

        For example: read_file(name="notes/report.md")

        Args:
            name: The file, as list_files gives it.
            start: First character to read; the end of a page says with which start it goes on.
        """
        text = decode(opened(config).read(name))
        if text is None:
            raise ToolException(f"error: '{name}' is not a text file; use another file")
        return page(text, start, page_characters, lambda on: f'read_file(name="{name}", start={on})')

    def write_file(name: str, text: str, config: RunnableConfig) -> str:
        """Writes a text file into the workspace, where the other workers can read it.

        A file of that name is replaced. To change a part of a file, use patch_file.

        For example: write_file(name="notes/report.md", text="All of the text.")

        Args:
            name: The file, a path inside the workspace.
            text: All that shall be in it.
        """
        return f"The file is written.\n{opened(config).write(name, encoded(text)).line()}"

    def patch_file(name: str, old: str, new: str, config: RunnableConfig) -> str:
        """Replaces one piece of a text file in the workspace.

        For example: patch_file(name="notes/report.md", old="two months", new="three months")

        Args:
            name: The file, as list_files gives it.
            old: The piece as it stands in the file, exactly, and so much of it that it occurs only once.
            new: What shall stand there instead; nothing to take the piece out.
        """
        return f"The piece is replaced.\n{opened(config).replace(name, old, new).line()}"

    reading = {"risk": "read", "effect": "none", "trust": "untrusted"}  # Python and other workers write files too
    # Trusted, because the answer names the file and holds none of its text.
    writing = {"risk": "write", "effect": "idempotent", "trust": "trusted", "contained": True}
    chosen: list[tuple[Callable[..., str], dict[str, object]]] = [
        (list_files, dict(reading)),
        (read_file, dict(reading)),
        (write_file, dict(writing)),
        (patch_file, dict(writing)),
    ]
    return [
        StructuredTool.from_function(
            func=function,
            parse_docstring=True,
            handle_tool_error=True,
            handle_validation_error=bad_arguments,
            metadata={**metadata, "time_limit_s": 30.0, "output_limit": page_characters + 1_500},
        )
        for function, metadata in chosen
    ]
