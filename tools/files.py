"""Reading the text files of one folder: nothing is written, and the folder is never left."""

from pathlib import Path

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from tools.folder import Folder, bad_arguments, page


def file_tools(folder: str | Path, *, page_characters: int = 2_400) -> list[BaseTool]:
    """The tools `list_files` and `read_file` for one folder, read only.

    Hidden files, links to outside the folder and files that are not text are refused.

    Args:
        folder: The folder. Whether it can be used shows when a tool is called.
        page_characters: Most characters of one answer. The default fits a fifth of a window of 4,096 tokens.
    """
    place = Folder(folder)

    def list_files() -> str:
        """Lists the files that read_file can read, with their sizes. Use it to find out what there is.

        For example: list_files()
        """
        lines: list[str] = []
        room = page_characters
        left_out = 0
        for fact in place.files():
            line = f"{fact.name} ({fact.size:,} bytes)"
            room -= len(line) + 1
            if room > 0:
                lines.append(line)
            else:
                left_out += 1
        if not lines:
            raise ToolException(f"error: there are no files in the folder '{place.path.name}'; do without files")
        if left_out:
            lines.append(f"[… and {left_out} more files; those can be read too, if you know their names]")
        return "\n".join(lines)

    def read_file(path: str, start: int = 0) -> str:
        """Reads a text file from its beginning or, page by page, from where you stopped.

        For example: read_file(path="data/figures.csv")

        Args:
            path: The file, as list_files gives it.
            start: First character to read; the end of a page says with which start it goes on.
        """
        text = place.read(path)
        return page(text, start, page_characters, lambda on: f'read_file(path="{path}", start={on})')

    return [
        StructuredTool.from_function(
            func=function,
            parse_docstring=True,
            handle_tool_error=True,
            handle_validation_error=bad_arguments,
            metadata={"risk": "read", "effect": "none", "trust": "untrusted"},
        )
        for function in (list_files, read_file)
    ]
