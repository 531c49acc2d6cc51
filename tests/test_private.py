"""Tagging a file reaches nobody and starts nothing."""

import json
import subprocess
import sys
from pathlib import Path

from demo.clips import WIDE, Clip, pan, picture, with_text, write_clip

ROOT = Path(__file__).resolve().parent.parent

WATCHED = """
import json
import socket
import sys

# A socket that is made or bound and goes nowhere is how urllib3 asks whether there is IPv6.
REACHES = ("socket.connect", "socket.get", "socket.send", "subprocess.", "urllib.", "http.",
           "pty.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile")
reached = []


def watch(event, args):
    if event.startswith(REACHES):
        reached.append(f"{event} {args!r}")


sys.addaudithook(watch)

from pathlib import Path
from stash_sense_plugin.tasks.engine import Call, open_engine
from stash_sense_plugin.tasks.files import tag_file


class Job:
    def log(self, level, message): ...
    def progress(self, fraction): ...
    def check(self): ...


home, package, clip = map(Path, sys.argv[1:])
engine = open_engine(home, package)
result = tag_file(engine, Call({"path": str(clip)}), Job())
engine.close()
while_tagging = list(reached)
try:
    socket.create_connection(("127.0.0.1", 1), timeout=1).close()
except OSError:
    pass
told = {"result": result, "reached": while_tagging, "noticed": len(reached) > len(while_tagging)}
sys.stdout.write(json.dumps(told))
"""
"""Tags a file in a process in which every way out is listened to, then tries one to see that it
is; audit hooks stay for as long as a process does."""


def test_tagging_opens_no_connection_and_starts_no_program(tmp_path: Path) -> None:
    portrait = picture("astronaut.png").crop((80, 25, 380, 194))
    paint = with_text(pan(portrait, WIDE, 1.05), "NORTHLIGHT STUDIO", (0.22, 0.08), 24)
    clip = write_clip(Clip("face.mp4", 2, WIDE, paint), tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "home"), str(ROOT / "stash_sense_plugin"),
         str(clip)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["result"]["error"] is None
    assert {each["detector"] for each in told["result"]["ran"]} == {"objects", "picture", "text"}
    assert [text["text"] for text in told["result"]["texts"]] != []
    assert told["noticed"]
    assert told["reached"] == []
