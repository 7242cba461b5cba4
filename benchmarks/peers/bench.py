"""Runner: starts the fake server, runs drivers (each in its own venv's interpreter) and prints a table.

  python bench.py --venvs DIR [--jobs j1,j2,j3,j4,j5] [--only bare,langgraph,...] [--reps 5] [--out results.jsonl]

Best inside a network namespace, so that nothing can call out:
  unshare -n sh -c 'ip link set lo up && . ./env.sh && python bench.py --venvs DIR'
"""

import argparse, json, os, statistics as st, subprocess, tempfile, time, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
# name: (venv, driver[:variant], jobs, flags)
FW = {
    "bare": ("bare", "drivers/bare.py", "j1 j2 j3 j4 j5", ""),
    "lg": ("langgraph", "drivers/langgraph_graph.py", "j1 j2 j3 j4 j5", ""),
    "lg/db": ("langgraph", "drivers/langgraph_graph.py", "j1 j2 j4", "--persist"),
    "orchestrator": ("orchestrator", "drivers/orchestrator_.py", "j1 j2 j3 j4 j5", "--persist"),
}


def get(port, path, data=None):
    r = urllib.request.Request(
        "http://127.0.0.1:%d/ctl/%s" % (port, path), data=None if data is None else json.dumps(data).encode()
    )
    return json.load(urllib.request.urlopen(r, timeout=20))


def host(a, port, name, job, extra=(), reps=None, timeout=900):
    venv, driver, _, flags = FW[name]
    cmd = [
        os.path.join(a.venvs, venv, "bin", "python"),
        os.path.join(HERE, "host.py"),
        "--driver",
        driver,
        "--job",
        job,
        "--port",
        str(port),
        "--reps",
        str(reps or a.reps),
        "--slow",
        str(a.slow),
        *(["--count"] if a.count else []),
        *flags.split(),
        *map(str, extra),
    ]
    env = {
        **os.environ,
        "OPENAI_BASE_URL": "http://127.0.0.1:%d/v1" % port,
        "OPENAI_API_BASE": "http://127.0.0.1:%d/v1" % port,
    }
    if job == "j5":
        get(port, "reset", {"job": "j5"})
        cmd += ["--t0", str(time.time())]
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=a.tmp)
    if job == "j5":
        get(port, "pid", {"pid": p.pid})
    try:
        out, _ = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        out, _ = p.communicate()
        out += "\nTIMEOUT"
    for line in out.splitlines():
        if line.startswith("RESULT "):
            d = json.loads(line[7:])
            d["name"] = name
            return d
    return {"name": name, "job": job, "error": out[-1500:]}


def imp(a, name):
    """CPU s, wall s and RSS MB of a user's imports alone."""
    venv, driver, _, _ = FW[name]
    src = open(os.path.join(HERE, driver.partition(":")[0])).read()
    stmt = src.split('IMPORT = "', 1)[1].split('"\n', 1)[0]
    code = (
        "import resource,os\n%s\nr=resource.getrusage(resource.RUSAGE_SELF)\n"
        "print('RESULT',r.ru_utime+r.ru_stime,r.ru_maxrss/1024,flush=True)\nos._exit(0)" % stmt
    )
    t = time.time()
    o = subprocess.run(
        [os.path.join(a.venvs, venv, "bin", "python"), "-c", code], capture_output=True, text=True, cwd=a.tmp
    )
    w = time.time() - t
    ln = [x for x in o.stdout.splitlines() if x.startswith("RESULT")]
    if not ln:
        return {"error": o.stderr[-500:]}
    c, m = map(float, ln[0].split()[1:])
    return {"cpu": c, "wall": w, "rss": m}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--venvs", required=True)
    ap.add_argument("--jobs", default="j1,j2,j3,j4,j5")
    ap.add_argument("--only", default="")
    ap.add_argument("--reps", type=int, default=5)
    ap.add_argument("--n3", default="50,100,200")
    ap.add_argument(
        "--slow", type=float, default=1, help="multiplies all latencies, for a machine this many times slower than usual"
    )
    ap.add_argument(
        "--count",
        action="store_true",
        help="count the driver's function calls: nearly the same each time on any machine, but the times mean nothing then",
    )
    ap.add_argument("--out", default="results.jsonl")
    ap.add_argument("--tmp", default=tempfile.gettempdir(), help="working folder of the drivers")
    a = ap.parse_args()
    a.venvs = os.path.abspath(a.venvs)
    jobs = json.load(open(os.path.join(HERE, "jobs.json")))
    names = [n for n in FW if not a.only or n in a.only.split(",")]
    srv = subprocess.Popen(
        [os.path.join(a.venvs, "bare", "bin", "python"), os.path.join(HERE, "server.py")],
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(srv.stdout.readline())
    out = open(a.out, "a")
    med = lambda x: st.median(x)
    try:
        for job in a.jobs.split(","):
            base = None
            for name in names:
                if job not in FW[name][2].split():
                    continue
                rows = []
                if job == "j5":
                    imp(a, name)  # write the .pyc files
                    im = [imp(a, name) for _ in range(a.reps)]
                    fs = [host(a, port, name, "j5", reps=1) for _ in range(a.reps)]
                    ok = [f for f in fs if "error" not in f and f.get("first_wall")]
                    d = {"name": name, "job": "j5", "import": im, "runs": fs}
                    out.write(json.dumps(d) + "\n")
                    out.flush()
                    if "error" in im[0] or not ok:
                        print(
                            "j5 %-20s ERROR %s"
                            % (name, (im[0].get("error") or fs[0].get("error") or str(fs[0]))[-700:]),
                            flush=True,
                        )
                        continue
                    print(
                        "j5 %-20s import cpu %.2fs rss %.0fMB | first request: wall %.2fs cpu %.2fs | peak rss %.0fMB bad=%s"
                        % (
                            name,
                            med([x["cpu"] for x in im]),
                            med([x["rss"] for x in im]),
                            med([f["first_wall"] for f in ok]),
                            med([f["first_cpu"] or 0 for f in ok]),
                            med([f["peak_rss"] for f in ok]),
                            ok[0]["reps"][0]["bad"],
                        ),
                        flush=True,
                    )
                    continue
                for n in map(int, a.n3.split(",")) if job == "j3" else [0]:
                    d = host(a, port, name, job, ["--n", n] if n else [])
                    out.write(json.dumps(d) + "\n")
                    out.flush()
                    if "error" in d:
                        print("%s %-20s ERROR %s" % (job, name, d["error"]), flush=True)
                        break
                    stalled = [x["stalled"] for x in d["reps"] if x["stalled"]]
                    if stalled:
                        print(
                            "%s %-20s STALLED in %d of %d repetitions: %s runs never finished"
                            % (job, name, len(stalled), len(d["reps"]), stalled),
                            flush=True,
                        )
                    r = [x for x in d["reps"] if not x["stalled"]]
                    if not r:
                        continue
                    wall, c = med([x["wall"] for x in r]), med([x["cpu"] for x in r])
                    if job == "j4":
                        c /= jobs["j4"]["runs"]
                    if base is None or name == "bare":
                        base = base or {}
                        base[n] = c
                    ideal = jobs[job]["ideal_ms"] / 1000 * a.slow
                    calls = sum(r[-1]["calls"].values())
                    msg = "%s %-20s n=%d wall %.3fs" % (job, name, n, wall)
                    if ideal:
                        msg += " (x%.3f of ideal)" % (wall / ideal)
                    if job == "j3":
                        msg += " cpu/step %.2fms db %d KB" % (c / n * 1000, med([x["db"] for x in r]) / 1024)
                    else:
                        msg += " cpu %.1fms [%.1f..%.1f]" % (
                            c * 1000,
                            min(x["cpu"] for x in r) * 1000 / (jobs["j4"]["runs"] if job == "j4" else 1),
                            max(x["cpu"] for x in r) * 1000 / (jobs["j4"]["runs"] if job == "j4" else 1),
                        )
                    if a.count:
                        msg += " function calls %d" % (med([x["function_calls"] for x in r]) / jobs[job].get("runs", 1))
                    if base.get(n):
                        msg += " x%.1f bare" % (c / base[n])
                    print(
                        msg
                        + " calls %d%s peak %d bytes_in %dK rss %.0fMB bad=%s unk=%d tools_ok=%s"
                        % (
                            calls,
                            r[-1]["calls"] if job == "j2" else "",
                            r[-1]["peak"],
                            r[-1]["bytes_in"] / 1024,
                            d["peak_rss"],
                            (r[-1]["n_bad"], r[-1]["bad"]) if any(x["n_bad"] for x in r) else 0,
                            r[-1]["unknown"],
                            r[-1]["tools_ok"],
                        ),
                        flush=True,
                    )
    finally:
        srv.terminate()
        srv.wait(10)


if __name__ == "__main__":
    main()
