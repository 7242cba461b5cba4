"""Extracting the text of files: the part of `formats.py` that runs in a child process.

This is a script. Its arguments are the kind of the file and a time limit, its standard input is the file. It answers
with JSON on its standard output: either `text`, `title`, `date` and `left_out`, or `error`. Errors of the libraries end
the process, and the parent reports the file as broken.
"""

import json
import re
import sys
from collections.abc import Callable

from orchestrator_tools.documents.reading.answer import Answer, Refused, cut, one_line

_MEMORY = 1_500_000_000
_SHORT_ARTICLE = 250  # characters


def main() -> None:
    """Read a file from the standard input, and answer on the standard output."""
    kind, seconds = sys.argv[1], int(sys.argv[2])
    _limit(seconds)
    raw = sys.stdin.buffer.read()
    try:
        answer = _reader(kind)(raw)
    except Refused as error:
        answer = {"error": str(error)}
    # A PDF's text may have half of a surrogate pair. UTF-8 cannot carry it, but an escape of JSON can.
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


def _reader(kind: str) -> Callable[[bytes], Answer]:
    # Loaded when it is needed: each of the libraries takes memory that is limited here.
    if kind == "html":
        return _html
    if kind == "pdf":
        from orchestrator_tools.documents.reading.pdf import read_pdf

        return read_pdf
    from orchestrator_tools.documents.reading.office import read_office

    return lambda raw: read_office(kind, raw)


def _limit(seconds: int) -> None:
    """Limit the CPU time and memory of this process, and forbid it to write files."""
    if sys.platform == "win32":  # no such limits; the parent's time limit remains
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform != "darwin":  # macOS refuses a limit of the address space
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _html(raw: bytes) -> Answer:
    import trafilatura

    # The package loads no module before its use. LangChain would take much of the memory that is allowed here.
    from orchestrator_tools.documents.passages import plain

    page = raw.decode("utf-8")
    tree = trafilatura.load_html(page)
    if tree is None:
        return {"text": plain("page.html", page), "title": None, "date": None, "left_out": []}
    # Its extensive search would guess a date from the text. Only a date that the page states counts.
    facts = trafilatura.extract_metadata(tree, extensive=False)
    text = trafilatura.extract(tree, output_format="markdown", include_comments=False, with_metadata=False) or ""
    if len(text) < _SHORT_ARTICLE:  # a list, a table or a start page, which holds no article
        whole = plain("page.html", page)
        text = whole if len(whole) > len(text) else text
    date = re.match(r"\d{4}-\d{2}-\d{2}", (facts.date if facts else None) or "")
    title = one_line(facts.title if facts else None)
    text, left_out = cut(text)
    return {"text": text, "title": title, "date": date[0] if date else None, "left_out": left_out}


if __name__ == "__main__":
    main()
