"""What a worker's life brings: sleep, cleaners, other users, a Stash that reaps nobody."""

import ctypes
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.plugin_folder import PluginFolder, wait_until

NOBODY = 65534

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")


def needs_namespaces(*options: str) -> None:
    """Skip the test where `unshare` may not give what is asked for."""
    try:
        told = subprocess.run(["unshare", *options, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if told.returncode != 0:
        pytest.skip(f"unshare {' '.join(options)} is not allowed here")


@contextmanager
def asleep(*pids: int) -> Iterator[None]:
    """Stop processes as a machine's sleep does; they wake at the end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    stopped = [psutil.Process(pid) for pid in pids]
    wait_until(
        lambda: all(one.status() == psutil.STATUS_STOPPED for one in stopped), "does not stop"
    )
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


# --- Another user ---------------------------------------------------------------------------

AS_USER = """
import ctypes, os, subprocess, sys
user, base, where, packages, there = int(sys.argv[1]), *sys.argv[2:6]
# The interpreter and its packages may lie where only root comes: here they lie elsewhere too.
subprocess.run(["mount", "--bind", base, where], check=True)
subprocess.run(["mount", "--bind", packages, there], check=True)
os.environ["LD_LIBRARY_PATH"] = where + "/lib"
os.setgroups([]), os.setgid(user), os.setuid(user)
os.execv(sys.argv[6], sys.argv[6:])
"""


def as_user(plugin: PluginFolder, user: int) -> str:
    """Let this plugin's doors run as another user; return the Python that they can run."""
    needs_namespaces("-m")
    place = plugin.folder / f"python-{user}"
    base, made = place / "base", place / "env"
    base.mkdir(parents=True)
    (made / "bin").mkdir(parents=True)
    packages = Path(f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")
    (made / packages).mkdir(parents=True)
    name = Path(os.path.realpath(sys.executable)).name
    (made / "bin" / "python").symlink_to(base / "bin" / name)
    (made / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n")
    python = str(made / "bin" / "python")
    plugin.prefix = ["unshare", "-m", sys.executable, "-c", AS_USER]
    plugin.prefix += [str(user), sys.base_prefix, str(base)]
    plugin.prefix += [str(Path(sys.prefix) / packages), str(made / packages)]
    plugin.variables["STASH_SENSE_PYTHON"] = python
    tried = subprocess.run(
        [*plugin.prefix, python, "-c", "import numpy"],
        capture_output=True,
        text=True,
        cwd=plugin.folder,
        env=plugin.variables,
        check=False,
    )
    if tried.returncode != 0:
        pytest.skip(f"user {user} cannot run this Python here: {tried.stderr.strip()[-200:]}")
    return python


def open_to_all(folder: Path) -> None:
    """Let other users see what lies in a folder."""
    folder.chmod(0o755)


# --- A file system without locks ------------------------------------------------------------

WITHOUT_LOCKS = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.life_kit import forbid_locks
forbid_locks()
import os
os.execv(sys.argv[2], sys.argv[2:])
"""

FLOCK = {"x86_64": (0xC000003E, 73), "aarch64": (0xC00000B7, 32)}
"""The kernel's numbers: of the machine, and of the call."""
ENOLCK = 37


def forbid_locks() -> None:
    """Let every flock of this process and its children fail as on a mount without locks."""
    arch, call = FLOCK[os.uname().machine]
    load, equals, give = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
    rows = [
        (load, 0, 0, 4),
        (equals, 0, 3, arch),
        (load, 0, 0, 0),
        (equals, 0, 1, call),
        (give, 0, 0, 0x00050000 | ENOLCK),
        (give, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = struct.pack("HxxxxxxP", len(rows), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_rights, filter_calls = 38, 22
    if libc.prctl(no_new_rights, 1, 0, 0, 0) or libc.prctl(filter_calls, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


# --- A Stash that reaps nobody --------------------------------------------------------------

FIRST_PROCESS = """
import ctypes, json, os, signal, subprocess, sys, time
rounds, end, card, door, document = json.loads(sys.stdin.read())
if os.getpid() != 1:
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans come to us, as to the first process

def zombies():
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/" + name + "/stat") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.append(int(name))
    return found

def on_card():
    try:
        with open(card) as file:
            return json.load(file)["pid"]
    except FileNotFoundError:
        return None

replies, pids, most = [], set(), 0
for number in range(rounds):
    # Like Stash: it waits for the doors that it started, and for nobody else.
    doors = [subprocess.Popen(door, stdin=-1, stdout=-1, stderr=-1) for _ in range(3)]
    for one in doors:
        one.stdin.write(document.encode())
        one.stdin.close()
    for one in doors:
        replies.append(json.loads(one.stdout.read()))
        one.stderr.read()
        one.stdout.close(), one.stderr.close()
        os.waitpid(one.pid, 0)
        one.returncode = 0
    pid = on_card()
    pids.add(pid)
    os.kill(pid, getattr(signal, end))
    # Until it has heard that it is to end, it would answer the next doors too.
    while end == "SIGTERM" and on_card() == pid:
        time.sleep(0.01)
print(json.dumps([replies, sorted(pids), zombies()]))
"""
