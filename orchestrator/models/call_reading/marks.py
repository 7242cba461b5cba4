"""Marks of calls in texts: special tokens and tags, as the chat templates of models define them.

The names of the models stand beside the marks. vLLM and llama.cpp read the same forms where they know the model.
"""

import re

_NS = r"(?:[\w-]+:|\uff5cDSML\uff5c)?"  # of tags: MiniMax, Seed, Step and Anthropic, DeepSeek 3.2

_OPENERS = (
    r"<tool_calls?>",  # Hermes, Qwen, GLM; Jamba, Hunyuan
    r"<\|tool_calls?\|?>",  # Granite, Phi, Gemma 4
    r"<\|tool_call_start\|>",  # LFM
    r"<(?:tools?|functioncall|function_calls?)>",  # Hermes, Granite 20B, Olmo
    r"<(?:TOOLCALL|start_function_call)>",  # Nemotron, Gemma
    r"\[TOOL_CALLS?\]",  # Mistral
    r"<\|python_tag\|>",  # Llama
    r"<\|action_start\|>\s*<\|plugin\|>",  # InternLM
    r"<\|START_ACTION\|>",  # Cohere
    r"<\|tools_prefix\|>",  # Apertus
    r"<\uff5ctool▁calls▁begin\uff5c>|<\uff5ctool▁call▁begin\uff5c>",  # DeepSeek
    r"<\|tool_calls_section_begin\|>|<\|tool_call_begin\|>",  # Kimi
    r"<\|channel\|>\s*\w+\s+to=|\bto=(?=functions\.)",  # gpt-oss
    r"\bfunctools(?=\[)",  # Phi 4
    r"(?=<function(?:=|\(|\s+name=))",  # Llama, Qwen Coder
    rf"(?=<{_NS}invoke\s+name=)",  # Anthropic, MiniMax, Step, DeepSeek 3.2
    r"^[ \t]*(?:```|~~~)[ \t]*(?:tool_calls?|tool_code|tool_use|function_calls?)[ \t]*\r?\n",  # Gemini, many small ones
    r"^[ \t]*(?=(?:functions|default_api)\.\w+\s*\()",  # Gemini, GPT
)
OPENER = re.compile("|".join(_OPENERS), re.M)
# A text without any of these has no mark. The search for all marks takes 0.3 ms for 1,000 characters.
_HINTS = ("<", "[TOOL_CALL", "to=functions.", "functools[", "```", "~~~", "functions.", "default_api.")


def may_have_mark(text: str) -> bool:
    """True if a text can have a mark of calls."""
    return any(hint in text for hint in _HINTS) and OPENER.search(text) is not None


_INNER = (
    r"\s+",
    r"```(?:json|python|tool_code|tool_call)?",
    r"function<\uff5ctool▁sep\uff5c>",
    r"call:",
    r"</?tool_calls?>|<tool_call\|>|<\|/?tool_calls?\|?>|<\|tool_call_(?:start|end|begin)\|>|<end_function_call>",
    rf"</?{_NS}(?:function_calls?|TOOLCALL|tool_calls?|functioncall)>",
    rf"</function>|</{_NS}invoke>|</tool>",
    r"<\uff5ctool▁calls?▁(?:begin|end)\uff5c>|<\|tool_calls_section_(?:begin|end)\|>",
    r"<\|call\|>|<\|end\|>|<\|END_ACTION\|>|<\|action_end\|>|<\|tools_suffix\|>|<\|eom_id\|>|<\|eot_id\|>|<\|im_end\|>",
    r"\[/TOOL_CALLS?\]",
)
# Everything that may stand between a mark and a call, between two calls, and behind the last.
GAP = re.compile(rf"(?:{'|'.join(_INNER)})*")
BETWEEN = re.compile(rf"(?:{'|'.join((*_INNER, '[,;]'))})*")

NAME = re.compile(r"[\"'`]?([A-Za-z_][\w.:/-]*)[\"'`]?")
# Signs that may stand between a name and its arguments.
SEPARATOR = re.compile(
    r"(?:\s+|<\uff5ctool▁sep\uff5c>|<\|tool_call_argument_begin\|>|\[CALL_ID\][\w-]+|\[ARGS\]|<\|channel\|>\s*\w+"
    r"|<\|constrain\|>\s*\w+|<\|message\|>|\b(?:json|code)\b|```(?:json)?)*"
)
# The tag of a call, with its name.
TAG = re.compile(
    rf"""<(?:function(?:=|\(|\s+name=)|{_NS}invoke\s+name=)\s*["']?([^"'<>()\s]{{1,200}})["']?[^<>(]{{0,200}}>"""
)
JSON_BEGIN = re.compile(r"\s*(?:```(?:json)?\s*)?(?=\{)")
PARAMETER = re.compile(rf"""\s*<{_NS}parameter(?:=|\s+name=)["']?([^"'<>\s]{{1,200}})["']?[^<>]{{0,200}}>""")
PARAMETER_END = re.compile(rf"</{_NS}parameter>|(?=<{_NS}parameter[=\s]|</function>|</{_NS}invoke>)")
ARGUMENT = re.compile(r"\s*<arg_key>([^<]*)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.S)  # GLM
ARGUMENT_BEGIN = re.compile(r"\s*<arg_key>")

# A call in Python: alone, printed, or assigned.
PYTHON_CALL = re.compile(r"\s*(?:\w+\s*=\s*)?(?:await\s+)?(?P<print>print\s*\(\s*)?(?P<name>[A-Za-z_][\w.]*)\s*\(")
PYTHON_LIST = re.compile(r"\[\s*[A-Za-z_][\w.]*\s*\(")

REACT = re.compile(
    r"^[ \t]*\**Action\**:\**[ \t]*[\[`\"']?([A-Za-z_][\w.-]*)[\]`\"']?[ \t]*\r?\n\s*\**Action[ _]Input\**:\**[ \t]*",
    re.M,
)
REACT_END = re.compile(r"^[ \t]*\**Observation\**:", re.M)

# Left over in the words before a call.
LEFTOVER = re.compile(
    rf"<\|(?:start|channel)\|>\w*|<\|[^|<>]{{1,40}}\|>|<\uff5c[^<>]{{1,40}}>|</?{_NS}(?:function_calls|tool_calls?)>|```\w*\s*\Z"
)
