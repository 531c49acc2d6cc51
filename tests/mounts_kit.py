"""Mounts of a test's own, that can be filled up, pulled out, or made to fail and to hang.

They lie in a mount namespace that ends with the test, and nobody else sees them; what is to see
them is started by `Mounts.python`, and the test looks in through `Mounts.inside`. Run as a program,
this file is the process that holds the namespace: it serves a folder through the kernel's FUSE
device, and fails or keeps silent as it is told. Such a mount is to programs what NFS, SMB or 9p
are when their server goes away.
"""

import ctypes
import errno
import os
import select
import shlex
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


# --- For tests ----------------------------------------------------------------------------------


class Mounts:
    """A mount namespace, and what is mounted in it."""

    def __init__(self, holder: "subprocess.Popen[str]", folder: Path) -> None:
        self._holder = holder
        enter = ["nsenter", "-t", str(holder.pid), "-m", f"--wd={ROOT}"]
        self.enter = enter if os.geteuid() == 0 else [*enter, "-U", "--preserve-credentials"]
        """The words before a command that is to see the mounts."""
        self.python = folder / "python"
        """A Python that sees them."""
        words = shlex.join([*self.enter, "--", sys.executable])
        self.python.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        self.python.chmod(0o755)

    def tell(self, *words: object) -> None:
        """Have something done to the mounts: see `_Holder`."""
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.write(shlex.join(map(str, words)) + "\n")
        self._holder.stdin.flush()
        said = self._holder.stdout.readline().strip()
        assert said == "done", said or "the holder of the mounts has ended"

    def inside(self, path: Path) -> Path:
        """The path by which this process reaches what lies on a mount."""
        return Path(f"/proc/{self._holder.pid}/root", *path.parts[1:])

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a Python that sees the mounts to its end."""
        command = [str(self.python), *words]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )


@contextmanager
def own_mounts(folder: Path) -> Iterator[Mounts]:
    """Yield a mount namespace; the test is skipped where this machine gives none."""
    words = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-m", "-U", "-r"]
    try:
        holder = subprocess.Popen(
            [*words, sys.executable, __file__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError:
        pytest.skip("mounts need the program unshare, of Linux")
    with holder:
        assert holder.stdout is not None
        try:
            if holder.stdout.readline() != "ready\n":
                pytest.skip("this user may not make a mount namespace here")
            yield Mounts(holder, folder)
        finally:
            holder.kill()


# --- The process that holds them ----------------------------------------------------------------

MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2
POSIX_LOCKS, BIG_WRITES = 2, 32
DIRECT_IO = 1
"""Files cannot be mapped into memory: so it is on 9p and on some NFS and SMB."""
LARGEST = 1 << 20
HEADER = struct.Struct("<IIQQIIII")
ATTRIBUTES = struct.Struct("<6Q3I7I")


class _Holder:
    """Does what it is told line by line, and serves the one FUSE mount."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fuse: _Fuse | None = None

    def serve(self) -> None:
        _say("ready")
        while True:
            watched = [0] if self._fuse is None else [0, self._fuse.device]
            ready, _, _ = select.select(watched, [], [])
            if 0 in ready:
                line = sys.stdin.readline()
                if not line:
                    return
                word, *rest = shlex.split(line)
                getattr(self, word)(*rest)
                _say("done")
            elif self._fuse is not None and not self._fuse.answer():
                self.die()

    def memory(self, target: str, size: str) -> None:
        """Mount a small disk in memory."""
        self._mount("tmpfs", target, f"size={size}")

    def unplug(self, target: str) -> None:
        """Take a mount away, whoever has files of it open."""
        if self._libc.umount2(os.fsencode(target), MNT_DETACH):
            raise OSError(ctypes.get_errno(), "umount2")

    def network(self, source: str, target: str, *lacks: str) -> None:
        """Serve a folder at another place; it may lack `locks`, `mapping` or `truth`."""
        self._fuse = _Fuse(source, lacks)
        options = f"fd={self._fuse.device},rootmode=40000,user_id=0,group_id=0,allow_other"
        self._mount("fuse", target, options)

    def fail(self, name: str) -> None:
        """Let every request fail from now on."""
        assert self._fuse is not None
        self._fuse.fault = getattr(errno, name)

    def hang(self) -> None:
        """Let no request be answered from now on."""
        assert self._fuse is not None
        self._fuse.silent = True

    def well(self) -> None:
        """Let all go well again; what hung is answered."""
        assert self._fuse is not None
        self._fuse.mend()

    def die(self) -> None:
        """Let the server of the mount be gone."""
        assert self._fuse is not None
        os.close(self._fuse.device)
        self._fuse = None

    def _mount(self, kind: str, target: str, options: str) -> None:
        words = (kind.encode(), os.fsencode(target), kind.encode())
        if self._libc.mount(*words, MS_NOSUID | MS_NODEV, options.encode()):
            raise OSError(ctypes.get_errno(), f"mount {kind}")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class _Fuse:
    """Hands a folder on, request by request."""

    def __init__(self, source: str, lacks: tuple[str, ...]) -> None:
        self.device = os.open("/dev/fuse", os.O_RDWR)
        self.fault = 0
        self.silent = False
        self._lacks = lacks
        # By its handle: the mount may come to lie over the very folder that it serves.
        self._paths = {1: Path(f"/proc/self/fd/{os.open(source, os.O_RDONLY)}")}
        self._kept: list[bytes] = []
        self._does: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup,
            3: lambda node, _data: self._attributes(node),
            4: self._change,
            9: self._make_folder,
            10: self._unlink,
            11: self._remove_folder,
            12: self._rename,
            14: self._open,
            15: self._read,
            16: self._write,
            17: lambda _node, _data: struct.pack("<5Q10I", *[10**6] * 5, 4096, 255, 4096, *[0] * 7),
            18: self._release,
            20: self._sync,
            25: lambda _node, _data: b"",
            26: self._begin,
            27: lambda _node, _data: bytes(16),
            28: self._list,
            29: lambda _node, _data: b"",
            30: lambda _node, _data: b"",
            31: self._lock,
            32: self._lock,
            33: self._lock,
            35: self._create,
        }

    def answer(self) -> bool:
        """Answer one request; False where the mount was taken away."""
        try:
            request = os.read(self.device, LARGEST + 4096)
        except FileNotFoundError:  # the request was taken back meanwhile
            return True
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        if self.silent:
            self._kept.append(request)
        else:
            self._handle(request)
        return True

    def mend(self) -> None:
        self.fault, self.silent = 0, False
        kept, self._kept = self._kept, []
        for request in kept:
            self._handle(request)

    def _handle(self, request: bytes) -> None:
        _, code, number, node, *_ = HEADER.unpack_from(request)
        if code in (2, 36, 42):  # forgotten and interrupted: no answer is wanted
            return
        error, data = self.fault, b""
        if not error:
            try:
                data = self._does[code](node, request[HEADER.size :])
            except KeyError:
                error = errno.ENOSYS
            except OSError as failed:
                error = failed.errno or errno.EIO
        answer = struct.pack("<IiQ", 16 + len(data), -error, number) + data
        try:
            os.write(self.device, answer)
        except FileNotFoundError:
            return

    def _begin(self, _node: int, data: bytes) -> bytes:
        major, _, ahead, _ = struct.unpack_from("<4I", data)
        flags = BIG_WRITES | (POSIX_LOCKS if "locks" in self._lacks else 0)
        return struct.pack("<4I2H2I2H8I", major, 31, ahead, flags, 16, 12, 131072, 1, 32, *[0] * 9)

    # --- Names

    def _path(self, node: int, name: bytes) -> Path:
        return self._paths[node] / os.fsdecode(name.split(b"\0")[0])

    def _entry(self, path: Path) -> bytes:
        packed = _packed(path.lstat())
        known = [node for node, kept in self._paths.items() if kept == path]
        node = known[0] if known else max(self._paths) + 1
        self._paths[node] = path
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + packed

    def _lookup(self, node: int, data: bytes) -> bytes:
        return self._entry(self._path(node, data))

    def _attributes(self, node: int) -> bytes:
        path = self._paths[node]
        return bytes(16) + _packed(path.stat() if node == 1 else path.lstat())

    def _change(self, node: int, data: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", data)
        mode = struct.unpack_from("<I", data, 68)[0]
        if valid & 1:
            self._paths[node].chmod(stat.S_IMODE(mode))
        if valid & 8:
            os.truncate(self._paths[node], size)
        return self._attributes(node)

    def _make_folder(self, node: int, data: bytes) -> bytes:
        path = self._path(node, data[8:])
        path.mkdir(stat.S_IMODE(struct.unpack_from("<I", data)[0]))
        return self._entry(path)

    def _unlink(self, node: int, data: bytes) -> bytes:
        self._path(node, data).unlink()
        return b""

    def _remove_folder(self, node: int, data: bytes) -> bytes:
        self._path(node, data).rmdir()
        return b""

    def _rename(self, node: int, data: bytes) -> bytes:
        (there,) = struct.unpack_from("<Q", data)
        old, new = data[8:].split(b"\0")[:2]
        before, after = self._path(node, old), self._path(there, new)
        before.rename(after)
        for number, path in self._paths.items():
            if path == before:
                self._paths[number] = after
        return b""

    def _list(self, node: int, data: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", data)
        names = [".", "..", *sorted(each.name for each in self._paths[node].iterdir())]
        packed = b""
        for place, name in enumerate(names[offset:], offset + 1):
            raw = os.fsencode(name)
            row = struct.pack("<QQII", place, place, len(raw), 0) + raw
            row += bytes(-len(row) % 8)
            if len(packed) + len(row) > size:
                break
            packed += row
        return packed

    # --- Files

    def _opened(self, path: Path, flags: int, mode: int = 0o600) -> bytes:
        kept = flags & ~(os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND)
        handle = os.open(path, kept | os.O_NONBLOCK, mode)
        return struct.pack("<QII", handle, DIRECT_IO if "mapping" in self._lacks else 0, 0)

    def _open(self, node: int, data: bytes) -> bytes:
        return self._opened(self._paths[node], struct.unpack_from("<I", data)[0])

    def _create(self, node: int, data: bytes) -> bytes:
        flags, mode = struct.unpack_from("<II", data)
        path = self._path(node, data[16:])
        opened = self._opened(path, flags | os.O_CREAT, stat.S_IMODE(mode))
        return self._entry(path) + opened

    def _read(self, _node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        return os.pread(handle, size, offset)

    def _write(self, _node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        if "truth" not in self._lacks:
            os.pwrite(handle, data[40 : 40 + size], offset)
        return struct.pack("<II", size, 0)

    def _release(self, _node: int, data: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", data)[0])
        return b""

    def _sync(self, _node: int, data: bytes) -> bytes:
        os.fsync(struct.unpack_from("<Q", data)[0])
        return b""

    def _lock(self, _node: int, _data: bytes) -> bytes:
        raise OSError(errno.ENOLCK, "no locks here")


def _packed(facts: os.stat_result) -> bytes:
    nanoseconds = [facts.st_atime_ns, facts.st_mtime_ns, facts.st_ctime_ns]
    return ATTRIBUTES.pack(
        facts.st_ino,
        facts.st_size,
        facts.st_blocks,
        *[each // 10**9 for each in nanoseconds],
        *[each % 10**9 for each in nanoseconds],
        facts.st_mode,
        facts.st_nlink,
        facts.st_uid,
        facts.st_gid,
        0,
        4096,
        0,
    )


if __name__ == "__main__":
    _Holder().serve()
