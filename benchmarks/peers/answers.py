"""The fake server's answers, scripted from the request's content: S is the job's state, `completion` the answer.

The script reads markers that the drivers put in prompts:
  [[JOB:j1]] / [[JOB:j3:100]]   which job (and N)            -- in the user's goal
  [[ROLE:planner|supervisor|worker|summary|stepper]]          -- in system/instruction text
  [[ST:j2:a1]]                  a sub-task                    -- in the sub-task text the plan gave
  [[WORK:a1]]                   the work tool ran             -- in the tool's result
  [[DONE:a1]]                   a sub-task's result           -- in a worker's answer
  [[FINAL:j1:8]]                the summary, with the number of results that it saw
"""

import itertools, json, os, re, time

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = json.load(open(os.path.join(HERE, "jobs.json")))
R_JOB = re.compile(r"\[\[JOB:(\w+?)(?::(\d+))?\]\]")
R_ROLE = re.compile(r"\[\[ROLE:(\w+)\]\]")
R_ST = re.compile(r"\[\[ST:(\w+):(\w+)\]\]")
R_DONE = re.compile(r"\[\[DONE:(\w+)\]\]")
R_STEP = re.compile(r"\[\[STEP:(\d+)\]\]")
SEQ = itertools.count(1)


def task_text(job, t):
    return "[[ST:%s:%s]] Carry out sub-task %s and report its result. [[MS:%d]]" % (
        job,
        t["id"],
        t["id"],
        t.get("ms", JOBS[job]["latency_ms"]),
    )


def pad(s, n):
    return s + " " + "lorem ipsum " * (max(0, n - len(s) - 1) // 12 + 1) if n > len(s) else s


class S:
    job, latency, pid, slow = "j1", 0.2, 0, 1
    calls, inflight, peak, bytes_in, first, first_cpu, unknown = {}, 0, 0, 0, None, None, 0
    log = []


def reset(d):
    S.job = d.get("job", "j1")
    S.slow = d.get("slow", 1)
    S.latency = d.get("latency_ms", JOBS[S.job]["latency_ms"]) / 1000 * S.slow
    S.pid = d.get("pid", 0)
    S.calls, S.inflight, S.peak, S.bytes_in, S.first, S.first_cpu, S.unknown = {}, 0, 0, 0, None, None, 0
    S.log = []


def text_of(m):
    c = m.get("content")
    if isinstance(c, str):
        return c
    if isinstance(c, list):
        return "\n".join(p.get("text") or "" for p in c if isinstance(p, dict))
    return ""


# ---- plans shaped by whatever JSON schema the framework asks for -----------------------------
def fill(schema, root, job, t=None, name=""):
    if "$ref" in schema:
        node = root
        for k in schema["$ref"].lstrip("#/").split("/"):
            node = node[k]
        schema = {**node, **{k: v for k, v in schema.items() if k != "$ref"}}
    for k in ("anyOf", "oneOf", "allOf"):
        if k in schema:
            return fill(schema[k][0], root, job, t, name)
    if "const" in schema:
        return schema["const"]
    ty, n = schema.get("type"), name.lower()
    if ty == "object" or "properties" in schema:
        return {k: fill(v, root, job, t, k) for k, v in schema.get("properties", {}).items()}
    if ty == "array":
        items = schema.get("items", {})
        if t is None:
            return [fill(items, root, job, x, name) for x in JOBS[job]["tasks"]]
        return list(t["deps"]) if "dep" in n else []
    if ty in ("integer", "number"):
        return schema.get("minimum", 1)
    if ty == "boolean":
        return False
    if schema.get("enum"):
        return schema["enum"][0]
    if t is None:
        return "plan for " + job
    if n in ("id", "key", "task_id", "name", "slug"):
        return t["id"]
    if any(w in n for w in ("worker", "agent", "assignee", "member", "role")):
        return "worker"
    return task_text(job, t)


def call_args(fn, job, t):
    """Arguments of a delegate tool, from its parameter names."""
    out = {}
    p = fn.get("parameters") or {}
    req = p.get("required", [])
    for k, v in (p.get("properties") or {}).items():
        n = k.lower()
        if n in ("member_id", "coworker", "subagent_type", "agent_name", "assignee", "worker"):
            own = "worker_" + t["id"]
            out[k] = own if own in (fn.get("description") or "") else "worker"
        elif n in (
            "task",
            "description",
            "input",
            "request",
            "text",
            "query",
            "message",
            "task_description",
            "prompt",
        ):
            out[k] = task_text(job, t)
        elif n in ("task_id", "id"):
            out[k] = t["id"]
        elif k in req:
            out[k] = "none"
    return out


DELEGATE = re.compile(r"delegate|^task$|worker|transfer_to_|assign", re.I)


def answer(req):
    """-> (role, latency_s, content or None, [(tool name, args)])"""
    msgs = req.get("messages", [])
    sys_text = "\n".join(text_of(m) for m in msgs if m["role"] in ("system", "developer"))
    other = [m for m in msgs if m["role"] not in ("system", "developer")]
    all_text = "\n".join(text_of(m) for m in other)
    role_m = R_ROLE.search(sys_text) or R_ROLE.search(all_text)
    role = role_m.group(1) if role_m else "unknown"
    jm = R_JOB.search(all_text) or R_JOB.search(sys_text)
    job, n = (jm.group(1), int(jm.group(2) or 0)) if jm else (S.job, 0)
    spec = JOBS.get(job, JOBS[S.job])
    size, L = spec["result_bytes"], S.latency
    tools = {
        t["function"]["name"]: t["function"] for t in req.get("tools") or [] if t.get("type") == "function"
    }

    if role == "worker":
        st = R_ST.search(sys_text)
        if not st:
            for m in reversed(other):
                if m["role"] in ("user", "assistant"):
                    f = R_ST.findall(text_of(m))
                    if f:
                        st = f[-1]
                        break
        else:
            st = st.groups()
        if not st:
            S.unknown += 1
            return "worker?", L, "[[DONE:unknown]]", []
        job, tid = st
        spec = JOBS.get(job, spec)
        t = next((x for x in spec["tasks"] if x["id"] == tid), {"id": tid, "deps": []})
        if job == "j3":
            L = 0
        elif "ms" in t:
            L = t["ms"] / 1000 * S.slow
        if spec["worker_tool"] and "work" in tools and "[[WORK:%s]]" % tid not in all_text:
            return "worker_tool", L, None, [("work", {"id": tid})]
        return "worker_final", L, pad("[[DONE:%s]] result of %s" % (tid, tid), spec["result_bytes"]), []

    if role == "planner":
        rf = req.get("response_format") or {}
        if rf.get("type") == "json_schema":
            sch = rf["json_schema"]["schema"]
            return "plan", L, json.dumps(fill(sch, sch, job)), []
        if tools:
            name, fn = next(iter(tools.items()))
            return "plan", L, None, [(name, fill(fn["parameters"], fn["parameters"], job))]
        return (
            "plan",
            L,
            json.dumps(
                {
                    "tasks": [
                        {"id": t["id"], "text": task_text(job, t), "deps": t["deps"]} for t in spec["tasks"]
                    ]
                }
            ),
            [],
        )

    if role == "summary":
        done = set(R_DONE.findall(all_text + sys_text))
        return "summary", L, "[[FINAL:%s:%d]] summary of %d results" % (job, len(done), len(done)), []

    if role == "stepper":  # j3 as an agent's tool loop
        k = max((int(x) for m in other if m["role"] == "tool" for x in R_STEP.findall(text_of(m))), default=0)
        if k < n and "step" in tools:
            return "step", L, None, [("step", {"i": k + 1})]
        return "summary", L, "[[FINAL:j3:%d]]" % k, []

    if role == "stepnode":  # j3 as a chain: one answer of 1 KB a step
        return "step", L, pad("[[STEP:%d]]" % n, 1024), []

    if role == "supervisor":
        done = set(R_DONE.findall(all_text))
        sent = set()
        for m in other:
            for tc in m.get("tool_calls") or []:
                a = tc["function"].get("arguments") or ""
                sent.update(x for _, x in R_ST.findall(a))
                sent.update(t["id"] for t in spec["tasks"] if tc["function"]["name"].endswith("_" + t["id"]))
        # a sub-task that was sent but has no result in the history (dropped or failed) is sent again
        ready = [t for t in spec["tasks"] if t["id"] not in done and set(t["deps"]) <= done]
        rounds = sum(1 for m in other if m["role"] == "assistant")
        if ready and tools and rounds < 6 * len(spec["tasks"]) + 10:
            if req.get("parallel_tool_calls") is False:
                ready = ready[:1]
            if len(S.log) < 2 and os.environ.get("PEERS_DEBUG") and sent:
                S.log.append(json.dumps(other)[:4000])
            calls = []
            for t in ready:
                own = [x for x in tools if x.endswith("_" + t["id"])]
                name = own[0] if own else next((x for x in tools if DELEGATE.search(x)), None)
                if name is None:
                    S.unknown += 1
                    return "supervisor?", L, "no delegate tool in %s" % list(tools), []
                calls.append((name, call_args(tools[name], job, t)))
            return ("plan" if not sent else "supervise"), L, None, calls
        return "summary", L, "[[FINAL:%s:%d]] summary of %d results" % (job, len(done), len(done)), []

    S.unknown += 1
    if len(S.log) < 5:
        S.log.append(json.dumps(req)[:6000])
    return "unknown", L, "[[FINAL:unknown:0]]", []


def completion(req, body_len):
    role, lat, content, calls = answer(req)
    cid, model = "chatcmpl-%d" % next(SEQ), req.get("model", "fake")
    msg = {"role": "assistant", "content": content, "refusal": None}
    if calls:
        msg["tool_calls"] = [
            {
                "id": "call_%s_%d" % (cid, i),
                "type": "function",
                "function": {"name": n, "arguments": json.dumps(a)},
            }
            for i, (n, a) in enumerate(calls)
        ]
    pt, ct = max(1, body_len // 4), max(1, len(json.dumps(msg)) // 4)
    usage = {
        "prompt_tokens": pt,
        "completion_tokens": ct,
        "total_tokens": pt + ct,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    fin = "tool_calls" if calls else "stop"
    base = {"id": cid, "created": int(time.time()), "model": model}
    if not req.get("stream"):
        out = json.dumps(
            {
                **base,
                "object": "chat.completion",
                "usage": usage,
                "system_fingerprint": "fake",
                "choices": [{"index": 0, "message": msg, "finish_reason": fin, "logprobs": None}],
            }
        )
        return role, lat, "application/json", out.encode()
    delta = {k: v for k, v in msg.items() if k != "refusal"}
    if calls:
        delta["tool_calls"] = [{**tc, "index": i} for i, tc in enumerate(msg["tool_calls"])]
    ch = lambda d, f=None: {
        **base,
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": d, "finish_reason": f}],
    }
    parts = [
        ch(delta),
        ch({}, fin),
        {**base, "object": "chat.completion.chunk", "choices": [], "usage": usage},
    ]
    return (
        role,
        lat,
        "text/event-stream",
        "".join("data: %s\n\n" % json.dumps(p) for p in parts).encode() + b"data: [DONE]\n\n",
    )
