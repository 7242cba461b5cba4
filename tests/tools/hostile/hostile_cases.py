"""Pieces of hostile Python, each with what full Python answers when it is contained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hostile:
    """A piece of hostile code.

    Args:
        name: What it tries.
        code: @CANARY@ is a file outside, @OUTSIDE@ its folder, @PORT@ a server, @SOCKET@ and @ABSTRACT@ local ones,
            @PID@ the process that started it all.
        says: What full Python answers (a regular expression), so that it is known to have got as far as being refused.
        spoils: Whether it leaves its own session useless, which harms nobody else.
    """

    name: str
    code: str
    says: str = ""
    spoils: bool = False


_SYSTEM_CALL = "import ctypes\ncall = ctypes.CDLL(None, use_errno=True).syscall\n"
_BOMB = """
import os, time
made = 0
try:
    for _ in range(300):
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError as error:
    print("refused", type(error).__name__)
print("made", made)
"""
_DAEMON = """
import os, time
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    import signal
    for number in (1, 2, 3, 13, 15):
        signal.signal(number, signal.SIG_IGN)
    while True:
        open('heartbeat', 'a').write('x')
        time.sleep(0.01)
while not os.path.exists('heartbeat'):
    time.sleep(0.01)
print('started')
"""

CASES = [
    # Files
    Hostile("a file of the host", "print(open('@CANARY@').read())", "FileNotFoundError"),
    Hostile("climbing out", "print(open('../' * 30 + '@CANARY@').read())", "FileNotFoundError"),
    Hostile("through /proc", "print(open('/proc/1/root@CANARY@').read())", "PermissionError|FileNotFoundError"),
    Hostile("through its own root", "print(open('/proc/self/root@CANARY@').read())", "FileNotFoundError"),
    Hostile(
        "looking everywhere",
        "import os\nfound = []\nfor top in ('/root', '/home', '/etc', '/tmp', '/run', '/dev', '/var', '/opt'):\n"
        "    for place, folders, files in os.walk(top):\n"
        "        folders[:] = [name for name in folders if name not in ('lib', 'include', 'share')]\n"
        "        found += [name for name in files if name in ('canary', '.bashrc', 'shadow', 'passwd', 'id_rsa')]\n"
        "print(found)",
        r"^\[\]$",
    ),
    Hostile("home folders", "import os\nprint(os.listdir('/home'))", "FileNotFoundError"),
    Hostile("/etc/shadow", "print(open('/etc/shadow').read())", "FileNotFoundError"),
    Hostile("/etc/passwd", "print(open('/etc/passwd').read())", "FileNotFoundError"),
    Hostile("a pathlib path", "from pathlib import Path\nPath('@CANARY@').read_text()", "FileNotFoundError"),
    Hostile("writing outside", "open('@OUTSIDE@/new', 'w').write('x')", "FileNotFoundError|OSError"),
    Hostile("changing the canary", "open('@CANARY@', 'w').write('x')", "FileNotFoundError|OSError"),
    Hostile("changing Python", "import os\nopen(os.path.dirname(os.__file__) + '/x.py', 'w')", "Read-only|Permission"),
    Hostile("changing the driver", "open('/run/driver.py', 'w')", "Read-only|Permission"),
    Hostile("writing at the root", "open('/new', 'w')", "Read-only|Permission"),
    Hostile("a link out", "import os\nos.symlink('@CANARY@', 'link')\nprint(open('link').read())", "FileNotFoundError"),
    Hostile("a second name", "import os\nos.link('/usr/bin/env', 'name')", "OSError|PermissionError"),
    Hostile(
        "a device of its own", "import os, stat\nos.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))", "Permis"
    ),
    Hostile(
        "devices", "import os\nprint(sorted(set(os.listdir('/dev')) & {'mem', 'kmsg', 'sda', 'vda', 'kvm'}))", r"^\[\]"
    ),
    Hostile("the terminal", "import fcntl\nfcntl.ioctl(open('/dev/tty', 'w'), 0x5412, b'x')", "OSError"),
    Hostile(
        "settings of the kernel", "open('/proc/sys/kernel/core_pattern', 'w').write('|/x')", "Read-only|Permission"
    ),
    Hostile("sysrq", "open('/proc/sysrq-trigger', 'w').write('b')", "Error"),
    Hostile("control groups", "import os\nprint(os.listdir('/sys/fs/cgroup'))", "FileNotFoundError"),
    Hostile("the container's engine", "import os\nprint(os.path.exists('/var/run/docker.sock'))", "^False"),
    # Environment and processes
    Hostile("the environment", "import os\nprint(dict(os.environ))", "PATH"),
    Hostile("the first process's environment", "print(open('/proc/1/environ').read())", ""),
    Hostile(
        "all environments",
        "import glob\nfor path in glob.glob('/proc/[0-9]*/environ'):\n    try:\n        print(open(path).read())\n"
        "    except OSError as error:\n        print('no', error.errno)",
        "PATH|no 13",
    ),
    Hostile(
        "other processes",
        "import os\nprint('seen', len([n for n in os.listdir('/proc') if n.isdigit()]) < 5)",
        "seen True",
    ),
    Hostile("memory of the first process", "open('/proc/1/mem', 'rb').read(1)", "Error"),
    Hostile("killing the first process", "import os\nos.kill(1, 9)\nprint('sent')", ""),
    Hostile("killing its parent", "import os\nos.kill(os.getppid(), 9)\nprint('sent')", ""),
    Hostile("killing everybody", "import os\nos.kill(-1, 9)\nprint('sent')", "sent|Error"),
    Hostile("killing who started it", "import os\nos.kill(@PID@, 9)", "ProcessLookupError"),
    Hostile("ptrace", _SYSTEM_CALL + "print(call(101, 16, 1, 0, 0), ctypes.get_errno())", "-1 1"),
    # Privileges
    Hostile("root", "import os\nos.setuid(0)\nprint(os.getuid())", "PermissionError|OSError"),
    Hostile(
        "a program that becomes root",
        "import os\nos.system('su root -c id; sudo -n id; cp /bin/sh s; chmod 4755 s; ./s -p -c id')",
        "(?s)^(?!.*uid=0).*gid=",
    ),
    Hostile("mount", _SYSTEM_CALL + "print(call(165, b'none', b'/tmp', b'tmpfs', 0, 0), ctypes.get_errno())", "-1 1"),
    Hostile("a user namespace", _SYSTEM_CALL + "print(call(272, 0x10000000), ctypes.get_errno())", "-1 1"),
    Hostile(
        "a user namespace by clone",
        _SYSTEM_CALL + "print(call(56, 0x10000011, 0, 0, 0, 0), ctypes.get_errno())",
        "-1 1",
    ),
    Hostile("chroot", "import os\nos.chroot('/tmp')", "PermissionError"),
    Hostile("keys of the kernel", _SYSTEM_CALL + "print(call(250, 0, -3, 0), ctypes.get_errno())", "-1 1"),
    Hostile("programs in the kernel", _SYSTEM_CALL + "print(call(321, 0, 0, 0), ctypes.get_errno())", "-1 1"),
    Hostile("io_uring", _SYSTEM_CALL + "print(call(425, 8, 0), ctypes.get_errno())", "-1 1"),
    Hostile("calls by their other numbers", _SYSTEM_CALL + "print(call(0x40000000 + 39), ctypes.get_errno())", "-1 1"),
    Hostile("the clock", "import time\ntime.clock_settime(0, 0)", "PermissionError"),
    Hostile("higher limits", "import resource\nresource.setrlimit(7, (9999, 9999))", "ValueError|PermissionError"),
    Hostile("a higher rank", "import os\nos.nice(-5)", "PermissionError"),
    Hostile("never to be killed", "open('/proc/self/oom_score_adj', 'wb', 0).write(b'-1000')", "Error"),
    # Network
    Hostile("a server on this machine", "import socket\nsocket.create_connection(('127.0.0.1', @PORT@), 1)", "refused"),
    Hostile("HTTP", "import urllib.request as u\nu.urlopen('http://127.0.0.1:@PORT@/', timeout=1)", "URLError"),
    Hostile("UDP outside", "import socket\nsocket.socket(2, 2).sendto(b'x', ('192.0.2.1', 53))", "unreachable"),
    Hostile("names of the net", "import socket\nsocket.getaddrinfo('example.com', 80)", "gaierror|OSError"),
    Hostile("a local socket", "import socket\nsocket.socket(1, 1).connect('@SOCKET@')", "FileNotFoundError"),
    Hostile("an abstract socket", "import socket\nsocket.socket(1, 1).connect('\\0@ABSTRACT@')", "refused"),
    Hostile("the machine below", "import socket\nsocket.socket(40, 1)", "PermissionError"),
    Hostile("the kernel's sockets", "import socket\nsocket.socket(16, 3)", "PermissionError"),
    Hostile("raw packets", "import socket\nsocket.socket(2, 3, 1)", "PermissionError"),
    # Programs and ways around
    Hostile("os.system", "import os\nos.system('cat @CANARY@; touch @OUTSIDE@/new')", "No such file"),
    Hostile(
        "subprocess", "import subprocess\nsubprocess.run('cat @CANARY@', shell=True, check=True)", "CalledProcessError"
    ),
    Hostile("the C library", "import ctypes\nctypes.CDLL(None).system(b'cat @CANARY@')", "No such file"),
    Hostile("importlib", "import importlib\nimportlib.import_module('os').system('cat @CANARY@')", "No such file"),
    Hostile("__import__", "__import__('os').system('cat @CANARY@')", "No such file"),
    Hostile(
        "__subclasses__",
        "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]"
        ".__init__.__globals__['popen']('cat @CANARY@').read()",
        "",
    ),
    Hostile("eval", "eval(compile(\"open('@CANARY@').read()\", 'x', 'eval'))", "FileNotFoundError"),
    Hostile("exec", "exec(\"print(open('@CANARY@').read())\")", "FileNotFoundError"),
    Hostile(
        "pickle",
        "import os, pickle\nclass A:\n    def __reduce__(self):\n        return os.system, ('cat @CANARY@',)\n"
        "pickle.loads(pickle.dumps(A()))",
        "No such file",
    ),
    Hostile("code from the workspace", "open('os.py', 'w').write('1/0')\nimport subprocess", ""),
    # Too much
    Hostile("an endless loop", "while True:\n    pass", "2 seconds"),
    Hostile(
        "an endless loop that excepts",
        "while True:\n    try:\n        1 / 0\n    except BaseException:\n        pass",
        "2 s",
    ),
    Hostile("waiting", "import time\nwhile True:\n    time.sleep(1000)", "2 seconds"),
    Hostile(
        "a value that never ends",
        "class A:\n    def __repr__(self):\n        while True:\n            pass\nA()",
        "2 sec",
    ),
    Hostile("a slow pattern", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')", "2 seconds"),
    Hostile("deep recursion", "def deep():\n    return deep()\ndeep()", "RecursionError"),
    Hostile("deeper recursion", "import sys\nsys.setrecursionlimit(10**9)\nf = lambda x: f(x)\nf(1)", "stopped|Error"),
    Hostile("deep source", "(" * 40_000, "Error"),
    Hostile("deep data", "a = []\nfor _ in range(10**5):\n    a = [a]\na", "Error|stopped"),
    Hostile("a large number", "9 ** 9 ** 9", "seconds|MemoryError"),
    Hostile("a large text", "len('x' * 10**11)", "MemoryError"),
    Hostile("much memory", "a = []\nwhile True:\n    a.append(b'x' * 5 * 10**7)", "MemoryError|memory|seconds"),
    Hostile(
        "much memory in many processes",
        "import os, time\nfor _ in range(10):\n    if not os.fork():\n        a = b'x' * 60_000_000\n"
        "        time.sleep(60)\ntime.sleep(60)",
        "memory|seconds|MemoryError|Python was stopped",
    ),
    Hostile("memory that is a file", "import os\nos.memfd_create('x')", "PermissionError"),
    Hostile("memory that is shared", _SYSTEM_CALL + "print(call(29, 0, 10**9, 0o1600), ctypes.get_errno())", "-1 1"),
    Hostile(
        "filling the scratch folders",
        "import os\nsaid = []\nfor place in ('/tmp/', '/dev/shm/'):\n    made = []\n    try:\n"
        "        for n in range(40):\n            made.append(place + str(n))\n"
        "            open(made[-1], 'wb').write(bytes(10**7))\n    except OSError as error:\n"
        "        said.append(error.errno)\n    for path in made:\n        os.remove(path)\nsaid",
        r"=> \[28, 28\]|seconds",
    ),
    Hostile("one large file", "open('large', 'wb').write(bytes(100_000_000))", "OSError|MemoryError|too large"),
    Hostile("a fork bomb", _BOMB, "refused BlockingIOError|Python was stopped"),
    Hostile(
        "a fork bomb of forks",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        "sto|ended",
    ),
    Hostile(
        "a thread bomb",
        "import threading, time\nmade = 0\ntry:\n    for _ in range(300):\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n        made += 1\n"
        "except RuntimeError as error:\n    print('refused')\nprint('made', made)",
        "refused",
        spoils=True,
    ),
    Hostile(
        "a program bomb",
        "import subprocess\na = [subprocess.Popen(['sleep', '60']) for _ in range(300)]",
        "Blocking|rror",
    ),
    Hostile("many open files", "a = [open('/dev/null') for _ in range(10_000)]", "Too many open files", spoils=True),
    Hostile("a flood of print", "for _ in range(20_000):\n    print('x' * 100)", "more characters"),
    Hostile("an endless flood", "while True:\n    print('x' * 10_000)", "too large|seconds"),
    Hostile("a flood of value", "'x' * 5_000_000", "goes on"),
    Hostile("a flood of error", "raise ValueError('x' * 5_000_000)", "ValueError|x"),
    Hostile(
        "a flood past Python", "import os\nos.system('head -c 5000000 /dev/zero | tr \"\\\\0\" x')", "more characters"
    ),
    # Tricks on what holds it
    Hostile(
        "ignoring signals",
        "import signal\nfor n in (1, 2, 3, 15):\n    signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
        "2 s",
    ),
    Hostile("stopping itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "2 seconds"),
    Hostile("an alarm", "import signal\nsignal.setitimer(0, 0.01)\nwhile True: pass", "ended"),
    Hostile("a daemon that survives", _DAEMON, "started"),
    Hostile("sys.exit", "import sys\nsys.exit(3)", "SystemExit"),
    Hostile("os._exit", "import os\nos._exit(0)", "ended"),
    Hostile("a crash", "import ctypes\nctypes.string_at(0)", "ended"),
    Hostile(
        "work at the exit", "import atexit\natexit.register(lambda: open('@OUTSIDE@/new', 'w'))\nraise SystemExit", ""
    ),
    Hostile("answers in print", 'print(\'{"id": "ready", "printed": "spoofed"}\')', "spoofed"),
    Hostile(
        "answers to every file",
        'import os\nfor n in range(3, 64):\n    try:\n        os.write(n, b\'{"id": "1", "value": "spoofed"}\\n\')\n'
        "    except OSError:\n        pass",
        "",
    ),
    Hostile(
        "an answer too many",
        "import sys, os\nf = sys._getframe()\nwhile 'answers' not in f.f_locals:\n    f = f.f_back\n"
        "i = f.f_locals['question']['id']\nout = f.f_locals['answers']\n"
        'os.write(out, b\'{"id": "%s", "value": "1"}\\n\' % i.encode())',
        "",
    ),
    Hostile(
        "an answer without end",
        "import sys, os\nf = sys._getframe()\nwhile 'answers' not in f.f_locals:\n    f = f.f_back\n"
        "while True:\n    os.write(f.f_locals['answers'], b'[' * 10_000)",
        "too long",
    ),
    Hostile(
        "an answer of the wrong kind",
        "import sys, os\nf = sys._getframe()\nwhile 'answers' not in f.f_locals:\n    f = f.f_back\n"
        "i = f.f_locals['question']['id']\n"
        'os.write(f.f_locals[\'answers\'], b\'{"id": "%s", "value": [1], "left_out": "x"}\\n\' % i.encode())',
        "",
    ),
    Hostile("closing all files", "import os\nos.closerange(0, 64)", "", spoils=True),
    Hostile("the driver's names", "import sys\nsys._getframe(1).f_globals.clear()", "", spoils=True),
    Hostile("other builtins", "import builtins\nbuiltins.repr = builtins.open = None", "", spoils=True),
    Hostile(
        "all objects",
        "import gc\nfor o in gc.get_objects():\n    if isinstance(o, dict):\n        o.clear()",
        "",
        spoils=True,
    ),
    Hostile("no text", "print('\\ud800')\n'\\ud800'", ""),
    Hostile("no source", "\0", "Error"),
    Hostile("asking somebody", "input()", "EOFError"),
]
