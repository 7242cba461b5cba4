"""Answers with a call in their text, in the forms of many models, and answers that only look like it."""

import json

ARGS = {"lake": "Onda"}
CALL = json.dumps({"name": "lookup", "arguments": ARGS})
_JSON = json.dumps(ARGS)

ONE_CALL = {
    "hermes": f"<tool_call>\n{CALL}\n</tool_call>",
    "hermes, unclosed, behind words": f"I look it up. <tool_call>{CALL}",
    "hermes in Python's quotes": "<tool_call>{'name': 'lookup', 'arguments': {'lake': 'Onda'}}</tool_call>",
    "hermes, twice encoded": f"<tool_call>{json.dumps({'name': 'lookup', 'arguments': _JSON})}</tool_call>",
    "hermes in a fence around it": f"```xml\n<tool_call>{CALL}</tool_call>\n```",
    "qwen coder": "<tool_call>\n<function=lookup>\n<parameter=lake>\nOnda\n</parameter>\n</function>\n</tool_call>",
    "seed": "<seed:tool_call><function=lookup><parameter=lake>Onda</parameter></function></seed:tool_call>",
    "llama function": f"<function=lookup>{_JSON}</function>",
    "llama function in brackets": f"<function(lookup)>{_JSON}</function>",
    "glm": "<tool_call>lookup\n<arg_key>lake</arg_key>\n<arg_value>Onda</arg_value>\n</tool_call>",
    "json fence": f"I will:\n\n```json\n{CALL}\n```",
    "json fence with words behind": f"```json\n{CALL}\n```\nI wait for the answer.",
    "bare fence": f"```\n{CALL}\n```",
    "tool_call fence": f"```tool_call\n{CALL}\n```",
    "tool_code fence": '```tool_code\nprint(default_api.lookup(lake="Onda"))\n```',
    "tool_code fence, unprinted": '```tool_code\nlookup(lake="Onda")\n```',
    "name, arguments": CALL,
    "name, parameters": json.dumps({"type": "function", "name": "lookup", "parameters": ARGS}),
    "tool, args": json.dumps({"tool": "lookup", "args": ARGS}),
    "tool_name, tool_input": json.dumps({"tool_name": "lookup", "tool_input": ARGS}),
    "action, action_input": json.dumps({"thought": "hm", "action": "lookup", "action_input": ARGS}),
    "function": json.dumps({"function": {"name": "lookup", "arguments": _JSON}}),
    "tool_calls": json.dumps({"tool_calls": [{"id": "1", "function": {"name": "lookup", "arguments": _JSON}}]}),
    "a list": f"[{CALL}]",
    "words around": f"I call {CALL} now.",
    "mistral": f"[TOOL_CALLS][{CALL}]",
    "mistral, new": f"[TOOL_CALLS]lookup{_JSON}",
    "mistral, newest": f"[TOOL_CALLS]lookup[CALL_ID]a1b2[ARGS]{_JSON}",
    "llama": f"<|python_tag|>{CALL}<|eom_id|>",
    "llama, built in": '<|python_tag|>lookup.call(lake="Onda")',
    "python": '[lookup(lake="Onda")]',
    "python alone": "lookup(lake='Onda')",
    "deepseek": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>lookup\n```json\n"  # noqa: RUF001  # its bars
    f"{_JSON}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",  # noqa: RUF001
    "deepseek 3.1": f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>lookup<｜tool▁sep｜>{_JSON}<｜tool▁call▁end｜>",  # noqa: RUF001
    "deepseek 3.2": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="lookup">\n'  # noqa: RUF001
    '<｜DSML｜parameter name="lake" string="true">Onda</｜DSML｜parameter>\n</｜DSML｜invoke>',  # noqa: RUF001
    "kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.lookup:0<|tool_call_argument_begin|>"
    f"{_JSON}<|tool_call_end|><|tool_calls_section_end|>",
    "gpt-oss": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
    f"to=functions.lookup <|constrain|>json<|message|>{_JSON}<|call|>",
    "gpt-oss, the other order": f"<|start|>assistant to=functions.lookup<|channel|>commentary json<|message|>{_JSON}",
    "anthropic": '<function_calls>\n<invoke name="lookup">\n<parameter name="lake">Onda</parameter>\n</invoke>\n'
    "</function_calls>",
    "minimax": '<minimax:tool_call>\n<invoke name="lookup">\n<parameter name="lake">Onda</parameter>\n</invoke>',
    "react": f"Thought: hm\nAction: lookup\nAction Input: {_JSON}\nObservation: 5 m\nFinal Answer: 5 m",
    "react with a text": "Action: lookup\nAction Input: Onda\nObservation: 5 m",
    "gemma": '<|tool_call>call:lookup{lake:<|"|>Onda<|"|>}<tool_call|>',
    "function gemma": "<start_function_call>call:lookup{lake:<escape>Onda<escape>}<end_function_call>",
    "granite": f"<|tool_call|>[{CALL}]",
    "cohere": f'<|START_ACTION|>[{{"tool_call_id": "0", "tool_name": "lookup", "parameters": {_JSON}}}]<|END_ACTION|>',
    "gpt": f"functions.lookup({_JSON})",
    "lfm": '<|tool_call_start|>[lookup(lake="Onda")]<|tool_call_end|>',
    "apertus": f'<|tools_prefix|>[{{"lookup": {_JSON}}}]<|tools_suffix|>',
    "phi": f"functools[{CALL}]",
    "another case": json.dumps({"name": "Look-Up", "arguments": ARGS}),
    "a namespace": json.dumps({"name": "functions.lookup", "arguments": ARGS}),
}

TOLD = {
    "unknown, alone": json.dumps({"name": "frobnicate", "arguments": ARGS}),
    "unknown, in a fence": '```json\n{"tool": "frobnicate", "args": {}}\n```',
    "unknown, behind a mark": f"Hm.\n<tool_call>{json.dumps({'name': 'frobnicate', 'arguments': {}})}</tool_call>",
    "cut off": '<tool_call>{"name": "lookup", "arguments": {"lake": "On',
    "cut off without a mark": '{"name": "lookup", "arguments": {"lake": "Onda"',
    "a mark alone": "I look it up. <tool_call>",
    "words behind a mark": "<tool_call>\nplease look up Onda",
    "other types": '<tool_call>{"name": "lookup", "arguments": [1, 2]}</tool_call>',
    "not a number": '<tool_call>{"name": "lookup", "arguments": {"lake": NaN}}</tool_call>',
    "two texts": "<function=lookup><parameter=lake>Onda",
    "no names": '<|python_tag|>lookup("Onda", 3)',
}

NO_CALL = {
    "words": "Lake Onda is 12 m deep [1].",
    "a span": f"Hermes writes `<tool_call>{CALL}</tool_call>` for a call.",
    "a mark in a sentence": "The tag <tool_call> opens a call, and </tool_call> ends it.",
    "a code block": f"Models write:\n```xml\n<tool_call>{CALL}</tool_call>\n```\nand wait.",
    "a code block in a code block": "A page:\n````md\n```tool_code\nlookup()\n```\n````\nends.",
    "data with a name": json.dumps({"name": "lookup", "depth": 12}),
    "data with names": json.dumps([{"name": "Ada", "age": 3}, {"name": "Bob", "age": 4}]),
    "a person": json.dumps({"name": "Ada", "input": "x", "depth": 3}),
    "code": 'def deep():\n    return lookup(lake="Onda")\n',
    "code with a call as data": f"x = {CALL}",
    "code that sends one": f"send({CALL})",
    "a call within data": json.dumps({"steps": [json.loads(CALL)]}),
    "a definition": json.dumps({"name": "lookup", "parameters": {"type": "object", "properties": {}}}),
    "an example of an unknown call": '```json\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n```\nis a call.',
    "python": 'print("lookup")',
    "a play": "Action: none\nThe curtain falls.",
    "nothing": "",
}
