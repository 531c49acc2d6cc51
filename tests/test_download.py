"""Downloads against a small server on this machine that behaves as badly as it is told to."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stash_sense_plugin.errors import (
    Cancelled,
    ModelBroken,
    ModelError,
    ModelMissing,
    SettingsError,
)
from stash_sense_plugin.inference.accepted import Accepted
from stash_sense_plugin.inference.catalogue import (
    Catalogue,
    Export,
    HubFile,
    LocalFile,
    MadeFile,
    ModelCard,
    ModelFile,
    PackageFile,
    UrlFile,
)
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.records import Level
from stash_sense_plugin.start import lock
from tests.file_site import CONTENT, GIT_SHA1, OTHER, SHA256, Site, open_site


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as running:
        yield running


@dataclass
class Told:
    """A reporter that remembers, and stops when it is told to."""

    lines: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    stop: Callable[[float], bool] = lambda share: False

    def log(self, level: Level, message: str) -> None:
        self.lines.append(message)

    def progress(self, fraction: float) -> None:
        self.shares.append(fraction)

    def check(self) -> None:
        if self.shares and self.stop(self.shares[-1]):
            raise Cancelled("Stopped")


def card(*files: ModelFile, overlaid: bool = False) -> ModelCard:
    roles = ("network",) if len(files) == 1 else ("visual", "textual", "tokenizer")
    return ModelCard(
        name="net",
        task="objects" if len(files) == 1 else "clip",
        about="A file",
        licence="MIT",
        commercial=True,
        words="things",
        files=dict(zip(roles, files, strict=True)),
        overlaid=overlaid,
    )


def models_of(tmp_path: Path, one: ModelCard, site: Site | None = None) -> Models:
    hub = site.url if site else "http://127.0.0.1:9"
    return Models(tmp_path / "models", Catalogue({one.name: one}), hub=hub, pause_s=0.0)


def pinned(site: Site) -> ModelCard:
    return card(UrlFile(url=f"{site.url}/net.onnx", sha256=SHA256, bytes=len(CONTENT)))


def unpinned(site: Site) -> ModelCard:
    return card(UrlFile(url=f"{site.url}/net.onnx"))


def test_a_file_comes_whole_and_private_and_its_host_is_named_first(
    site: Site, tmp_path: Path
) -> None:
    net, told = pinned(site), Told()
    models = models_of(tmp_path, net)
    assert not models.has(net)
    models.pull(net, told)
    path = models.path(net, "network")
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(models.folder.stat().st_mode) == 0o700
    assert models.has(net)
    assert told.lines[0].startswith("net: fetching net.onnx (1 MB)")
    assert told.lines[1] == f"Connecting to {site.url.removeprefix('http://')}"
    assert told.shares == sorted(told.shares)
    assert told.shares[-1] == 1.0
    assert not list(models.folder.rglob("*.part"))


def test_what_is_here_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    asked = len(site.asked)
    models.pull(net, Told())
    models_of(tmp_path, net).pull(net, Told())
    assert len(site.asked) == asked


def test_a_broken_connection_goes_on_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.drops = [300_000, 200_000]
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    assert models.path(net, "network").read_bytes() == CONTENT
    starts = [int((asked[2] or "bytes=0-")[6:-1]) for asked in site.asked]
    assert starts == sorted(set(starts))
    assert 200_000 < starts[1] <= 300_000
    assert 300_000 < starts[2] <= 500_000


def test_a_stopped_download_goes_on_in_another_process(site: Site, tmp_path: Path) -> None:
    net = card(UrlFile(url=f"{site.url}/net.onnx", sha256=_sha(BIG), bytes=len(BIG)))
    site.content = BIG
    with pytest.raises(Cancelled):
        models_of(tmp_path, net).pull(net, Told(stop=lambda share: share > 0.1))
    models = models_of(tmp_path, net)
    assert not models.has(net)
    models.pull(net, Told())
    assert models.path(net, "network").read_bytes() == BIG
    assert site.asked[-1][2] is not None


BIG = CONTENT * 6


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_server_that_cannot_go_on_begins_again(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.drops = [300_000]
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    assert models.path(net, "network").read_bytes() == CONTENT


def test_a_server_that_sends_no_length_is_understood(site: Site, tmp_path: Path) -> None:
    site.lengthless = True
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    assert models.path(net, "network").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429]
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    assert models.has(net)


def test_a_server_that_always_breaks_off_is_given_up(site: Site, tmp_path: Path) -> None:
    site.statuses = [500] * 50
    net = pinned(site)
    with pytest.raises(ModelMissing, match="HTTP 500") as caught:
        models_of(tmp_path, net).pull(net, Told())
    assert "goes on where it stopped" in caught.value.remedy
    assert len(site.asked) < 10


def test_an_address_without_a_server_is_a_plain_sentence(tmp_path: Path) -> None:
    net = card(UrlFile(url="http://127.0.0.1:9/net.onnx", sha256=SHA256))
    with pytest.raises(ModelMissing, match="did not come") as caught:
        models_of(tmp_path, net).pull(net, Told())
    assert caught.value.message.endswith("Connection refused")
    assert "HTTPConnectionPool" not in caught.value.message
    assert "network" in caught.value.remedy


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_gone_is_said_at_once(site: Site, tmp_path: Path, status: int) -> None:
    site.statuses = [status]
    net = pinned(site)
    with pytest.raises(ModelMissing, match=f"HTTP {status}"):
        models_of(tmp_path, net).pull(net, Told())
    assert len(site.asked) == 1


def test_a_wrong_file_is_cleared_and_fetched_once_more(site: Site, tmp_path: Path) -> None:
    site.contents = [bytes(len(CONTENT))]
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    assert models.path(net, "network").read_bytes() == CONTENT


def test_a_file_that_is_wrong_twice_is_refused(site: Site, tmp_path: Path) -> None:
    site.content = bytes(len(CONTENT))
    net = pinned(site)
    models = models_of(tmp_path, net)
    with pytest.raises(ModelBroken, match="something else twice: sha256"):
        models.pull(net, Told())
    assert not models.has(net)
    assert not list(models.folder.rglob("*.part"))


def test_a_server_that_never_ends_is_stopped_at_the_size_that_was_promised(
    site: Site, tmp_path: Path
) -> None:
    site.endless = True
    net, told = pinned(site), Told()
    models = models_of(tmp_path, net)
    with pytest.raises(ModelBroken, match=f"else twice: more than {len(CONTENT)} bytes"):
        models.pull(net, told)
    assert max(told.shares) <= 1
    assert len(site.asked) == 2
    assert not list(models.folder.rglob("*.part"))


def test_a_server_that_never_ends_fills_no_disk_where_no_size_is_known(
    site: Site, tmp_path: Path
) -> None:
    site.endless = True
    net = unpinned(site)
    models = Models(tmp_path / "models", Catalogue({"net": net}), pause_s=0.0, most_bytes=3 << 20)
    with pytest.raises(ModelBroken, match=f"else twice: more than {3 << 20} bytes"):
        models.pull(net, Told())
    assert not list(models.folder.rglob("*.part"))
    site.endless = False
    site.content = BIG
    with pytest.raises(ModelBroken, match=f"{len(BIG)} bytes, where {3 << 20} are the most"):
        models.pull(net, Told())


def test_a_file_of_another_size_is_refused_before_it_comes(site: Site, tmp_path: Path) -> None:
    site.content = BIG
    net, told = pinned(site), Told()
    models = models_of(tmp_path, net)
    why = f"something else twice: {len(BIG)} bytes instead of {len(CONTENT)}"
    with pytest.raises(ModelBroken, match=why):
        models.pull(net, told)
    assert not told.shares
    assert not models.has(net)


def test_a_login_page_is_no_network(site: Site, tmp_path: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    net = unpinned(site)
    with pytest.raises(ModelMissing, match="web page instead of a file"):
        models_of(tmp_path, net).pull(net, Told())


def test_a_redirect_names_the_next_host_too(site: Site, tmp_path: Path) -> None:
    site.redirect = site.url.replace("127.0.0.1", "localhost") + "/moved/net.onnx"
    net, told = pinned(site), Told()
    models = models_of(tmp_path, net)
    models.pull(net, told)
    assert models.has(net)
    assert sum("Connecting to localhost" in line for line in told.lines) == 1


def test_a_file_of_unknown_hash_is_trusted_once_and_checked_ever_after(
    site: Site, tmp_path: Path
) -> None:
    net = unpinned(site)
    models = models_of(tmp_path, net)
    label = models.label(net)
    models.pull(net, Told())
    assert models.label(net) == label
    path = models.path(net, "network")

    path.write_bytes(OTHER)
    with pytest.raises(ModelBroken, match="is not the file") as caught:
        models_of(tmp_path, net).path(net, "network")
    assert "models pull net" in caught.value.remedy

    site.content = OTHER
    with pytest.raises(ModelBroken, match="something else twice"):
        models_of(tmp_path, net).pull(net, Told())
    site.content = CONTENT
    models.pull(net, Told())
    assert models.path(net, "network").read_bytes() == CONTENT


def test_a_damaged_file_is_found_and_fetched_again(site: Site, tmp_path: Path) -> None:
    net, told = pinned(site), Told()
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    models.path(net, "network").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ModelBroken):
        models.verify(net)
    models.pull(net, told)
    models.verify(net)
    assert any("fetched again" in line for line in told.lines)


def test_a_file_put_there_by_hand_is_checked_once(site: Site, tmp_path: Path) -> None:
    net = pinned(site)
    models = models_of(tmp_path, net)
    place = models.folder / "net" / SHA256[:8] / "net.onnx"
    place.parent.mkdir(parents=True)
    place.write_bytes(OTHER)
    assert not models.has(net)
    with pytest.raises(ModelBroken):
        models.path(net, "network")
    place.write_bytes(CONTENT)
    assert models.path(net, "network") == place
    assert not site.asked


def test_what_is_missing_names_the_command(tmp_path: Path) -> None:
    net = card(UrlFile(url="https://example.com/net.onnx", sha256=SHA256, bytes=35_858_002))
    models = models_of(tmp_path, net)
    with pytest.raises(ModelMissing, match=r"net needs .*net\.onnx \(36 MB\)") as caught:
        models.path(net, "network")
    told = "run the task Download models, or `python -m stash_sense_plugin models pull net`"
    assert caught.value.remedy == told
    assert models.label(net) == f"net@{SHA256[:8]}"


def test_a_folder_that_cannot_be_written_is_a_plain_sentence(site: Site, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file stands where the folder should be")
    net = pinned(site)
    with pytest.raises(ModelMissing, match="cannot be written"):
        models_of(tmp_path, net).pull(net, Told())
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(CONTENT)
    local = card(LocalFile(path=str(mine)), overlaid=True)
    assert models_of(tmp_path, local).label(local)


# --- A file that changed since ------------------------------------------------------------------


def spoiled(content: bytes) -> bytes:
    """The same with one byte changed."""
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


def swap(path: Path, content: bytes, age_s: int = 0) -> None:
    """Put another file in its place, with its date or an older one."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns - age_s * 10**9))
    other.replace(path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "another of the same size and date": lambda path: swap(path, spoiled(CONTENT)),
    "another that is older": lambda path: swap(path, spoiled(CONTENT), age_s=1000),
    "one byte, written in place": lambda path: poke(path),
    "emptied": lambda path: os.truncate(path, 0),
}


def poke(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("known", [True, False], ids=["hash in the row", "hash of the first time"])
def test_a_file_that_changed_is_refused_by_name_and_fetched_again_once(
    site: Site, tmp_path: Path, damage: Callable[[Path], None], known: bool
) -> None:
    net = pinned(site) if known else unpinned(site)
    models, told = models_of(tmp_path, net), Told()
    models.pull(net, Told())
    path = models.path(net, "network")
    damage(path)
    with pytest.raises(ModelBroken, match=r"net\.onnx is not the file that net names") as caught:
        models.path(net, "network")
    assert "models pull net" in caught.value.remedy
    assert not models.sound(net)
    with pytest.raises(ModelBroken):
        models.verify(net)

    site.asked.clear()
    assert models.order(net, told).bytes == (len(CONTENT) if known else None)
    models.pull(net, told)
    assert len(site.asked) == 1
    assert any("is fetched again" in line for line in told.lines)
    assert models.path(net, "network").read_bytes() == CONTENT
    assert models.sound(net)


def test_a_swapped_file_is_found_at_its_first_opening_in_another_process(
    site: Site, tmp_path: Path
) -> None:
    net = pinned(site)
    models_of(tmp_path, net).pull(net, Told())
    path = models_of(tmp_path, net).path(net, "network")
    swap(path, spoiled(CONTENT))
    code = (
        "import sys; from pathlib import Path\n"
        "from stash_sense_plugin.errors import ModelBroken\n"
        "from stash_sense_plugin.inference.catalogue import Catalogue, ModelCard\n"
        "from stash_sense_plugin.inference.download import Models\n"
        "card = ModelCard.model_validate_json(sys.stdin.read())\n"
        "models = Models(Path(sys.argv[1]), Catalogue({card.name: card}))\n"
        "assert models.has(card)\n"
        "try: models.path(card, 'network')\n"
        "except ModelBroken as error: sys.stdout.write(error.message)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "models")]
    told = net.model_dump_json(exclude_none=True)
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=True)
    assert "is not the file that net names: its sha256 is" in done.stdout


def test_what_comes_wrong_twice_names_both_hashes(site: Site, tmp_path: Path) -> None:
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    swap(models.path(net, "network"), spoiled(CONTENT))
    site.content = spoiled(CONTENT)
    site.asked.clear()
    with pytest.raises(ModelBroken) as caught:
        models.pull(net, Told())
    assert f"sha256 {_sha(spoiled(CONTENT))[:12]}… instead of {SHA256[:12]}…" in str(caught.value)
    assert len(site.asked) == 2
    assert not models.has(net)


def test_a_list_of_records_that_is_lost_takes_no_file_for_broken(
    site: Site, tmp_path: Path
) -> None:
    net = unpinned(site)
    models_of(tmp_path, net).pull(net, Told())
    (tmp_path / "models" / "recorded.json").unlink()
    models = models_of(tmp_path, net)
    assert models.path(net, "network").read_bytes() == CONTENT
    models.verify(net)
    assert (tmp_path / "models" / "recorded.json").is_file()


# --- What is said of an address ---------------------------------------------------------------


def failing_web(site: Site) -> dict[str, Callable[[], None]]:
    """Ways in which a site may fail, by name."""

    def redirect(to: str) -> Callable[[], None]:
        return lambda: setattr(site, "redirect", to)

    return {
        "gone": lambda: site.statuses.append(404),
        "always busy": lambda: site.statuses.extend([503] * 50),
        "something else": lambda: setattr(site, "content", OTHER),
        "a web page": lambda: setattr(site, "kind", "text/html"),
        "round in circles": redirect("/net.onnx?token=SECRET"),
        "nobody there": redirect("http://me:SECRET@127.0.0.1:9/moved?token=SECRET"),
        "no address": redirect("http://me:SECRET@[::/moved?token=SECRET"),
        "no port": redirect("http://me:SECRET@127.0.0.1:99999999/moved?token=SECRET"),
        "no name": redirect("http://me:SECRET@/moved?token=SECRET"),
        "no scheme": redirect("gopher://me:SECRET@127.0.0.1/moved?token=SECRET"),
    }


@pytest.mark.parametrize("how", failing_web(Site()))
def test_what_an_address_is_asked_with_is_never_said(site: Site, tmp_path: Path, how: str) -> None:
    failing_web(site)[how]()
    file = UrlFile(url=f"{site.url}/net.onnx?token=SECRET", sha256=SHA256, bytes=len(CONTENT))
    net, told = card(file), Told()
    models = models_of(tmp_path, net)
    told.lines += models.order(net, told).hosts
    with pytest.raises(ModelError) as caught:
        models.pull(net, told)
    assert "SECRET" not in f"{caught.value} {told.lines}"
    assert f"Connecting to {site.url.removeprefix('http://')}" in told.lines


def test_the_word_of_a_redirect_that_carries_a_name_is_its_host(site: Site, tmp_path: Path) -> None:
    port = site.url.rpartition(":")[2]
    site.redirect = f"http://me:SECRET@localhost:{port}/moved/net.onnx?token=SECRET"
    net, told = pinned(site), Told()
    models = models_of(tmp_path, net)
    models.pull(net, told)
    assert f"Connecting to localhost:{port}" in told.lines
    assert "SECRET" not in str(told.lines)


# --- Two at once --------------------------------------------------------------------------------


def test_who_comes_second_waits_and_fetches_nothing(site: Site, tmp_path: Path) -> None:
    net = pinned(site)
    (tmp_path / "models").mkdir()
    first = lock.hold(str(tmp_path / "models" / ".net.lock"))
    assert first is not None
    said = threading.Event()

    class Heard(Told):
        def log(self, level: Level, message: str) -> None:
            super().log(level, message)
            said.set()

    told = Heard()
    waiting = threading.Thread(target=models_of(tmp_path, net).pull, args=(net, told))
    waiting.start()
    assert said.wait(60)
    assert told.lines == ["Another process fetches net: waiting for it"]
    place = tmp_path / "models" / "net" / SHA256[:8] / "net.onnx"
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    first.release()
    waiting.join()
    assert not site.asked
    assert models_of(tmp_path, net).sound(net)


def test_who_waits_can_be_stopped(site: Site, tmp_path: Path) -> None:
    net = pinned(site)
    (tmp_path / "models").mkdir()
    first = lock.hold(str(tmp_path / "models" / ".net.lock"))
    assert first is not None

    class Stopped(Told):
        def check(self) -> None:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        models_of(tmp_path, net).pull(net, Stopped())
    first.release()
    models_of(tmp_path, net).pull(net, Told())


# --- What is made here --------------------------------------------------------------------------


def made_card(site: Site) -> ModelCard:
    weights = UrlFile(url=f"{site.url}/net.pt", sha256=SHA256, bytes=len(CONTENT))
    return card(weights).model_copy(
        update={
            "files": {"network": MadeFile(made="net.onnx"), "weights": weights},
            "export": Export(by="timm", model="x"),
        }
    )


def make(models: Models, net: ModelCard, content: bytes = OTHER) -> Path:
    made = models.folder / "made.part"
    made.write_bytes(content)
    return models.adopt(net, "network", made)


def test_what_is_made_here_lives_with_its_record_and_needs_its_weights_no_more(
    site: Site, tmp_path: Path
) -> None:
    net = made_card(site)
    models = models_of(tmp_path, net)
    assert models.unmade(net) == ("network",)
    models.pull(net, Told())
    assert not models.has(net)
    assert models.unmade(net) == ("network",)
    made = make(models, net)
    assert models.sound(net)
    assert models.unmade(net) == ()
    models.verify(net)

    models.path(net, "weights").unlink()
    models.verify(net)
    site.asked.clear()
    models.pull(net, Told())
    assert site.asked == []
    assert models.path(net, "network") == made


def test_what_was_made_and_changed_is_made_again(site: Site, tmp_path: Path) -> None:
    net, told = made_card(site), Told()
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    made = make(models, net)
    swap(made, spoiled(OTHER))
    with pytest.raises(ModelBroken, match="not the file that net names"):
        models.path(net, "network")
    assert models.unmade(net) == ("network",)
    models.path(net, "weights").unlink()
    models.pull(net, told)
    assert not made.exists()
    assert any("is made again" in line for line in told.lines)
    assert models.path(net, "weights").read_bytes() == CONTENT


# --- Removing -----------------------------------------------------------------------------------


def test_what_was_fetched_and_made_is_removed_with_its_record(site: Site, tmp_path: Path) -> None:
    net = made_card(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    made = make(models, net)
    for name in ("net.int8.onnx", "net.int8.json", "net.onnx.part"):
        made.with_name(name).write_bytes(b"12345")
    older = models.folder / "net" / "0123abcd" / "net.onnx"
    older.parent.mkdir()
    older.write_bytes(b"1234567890")
    assert models.disk_bytes(net) == len(CONTENT) + len(OTHER) + 25

    removed = models.remove(net, Told())
    assert removed.bytes == len(CONTENT) + len(OTHER) + 25
    assert len(removed.files) == 6
    assert removed.left == ()
    assert not (models.folder / "net").exists()
    assert "net/" not in (models.folder / "recorded.json").read_text()
    assert models.disk_bytes(net) == 0
    assert models.remove(net, Told()).files == ()


def test_a_stopped_download_is_removed_too(site: Site, tmp_path: Path) -> None:
    site.content = BIG
    net = card(UrlFile(url=f"{site.url}/net.onnx", sha256=_sha(BIG), bytes=len(BIG)))
    models = models_of(tmp_path, net)
    with pytest.raises(Cancelled):
        models.pull(net, Told(stop=lambda share: share > 0.1))
    assert [Path(each).name for each in models.remove(net, Told()).files] == ["net.onnx.part"]
    assert not list(models.folder.rglob("*.part"))


def test_what_another_process_fetches_is_not_removed_under_its_hands(
    site: Site, tmp_path: Path
) -> None:
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    other = lock.hold(str(tmp_path / "models" / ".net.lock"))
    assert other is not None

    class Stopped(Told):
        def check(self) -> None:
            raise Cancelled("Stopped")

    told = Stopped()
    with pytest.raises(Cancelled):
        models.remove(net, told)
    assert told.lines == ["Another process fetches net: waiting for it"]
    assert models.sound(net)
    other.release()
    assert models.remove(net, Told()).files
    assert not models.has(net)


def test_nothing_that_is_not_ours_is_removed(site: Site, tmp_path: Path) -> None:
    net = pinned(site)
    mine = tmp_path / "models" / "net" / SHA256[:8] / "mine.onnx"
    own = card(LocalFile(path=str(mine))).model_copy(update={"name": "own", "overlaid": True})
    models = Models(tmp_path / "models", Catalogue({"net": net, "own": own}), pause_s=0.0)
    models.pull(net, Told())
    mine.write_bytes(OTHER)
    note = tmp_path / "models" / "net" / "read me.txt"
    note.write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "net.onnx").write_bytes(OTHER)
    (mine.parent / "link").symlink_to(elsewhere)
    (tmp_path / "models" / "net" / "abcdef01").symlink_to(elsewhere)

    removed = models.remove(net, Told())
    assert sorted(Path(each).name for each in removed.files) == ["link", "net.onnx"]
    assert {Path(each).name for each in removed.left} == {"mine.onnx", "read me.txt", "abcdef01"}
    assert (elsewhere / "net.onnx").read_bytes() == OTHER
    assert mine.read_bytes() == OTHER
    assert note.is_file()


def test_a_folder_that_is_a_link_is_left_alone(site: Site, tmp_path: Path) -> None:
    net = pinned(site)
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    shutil.move(models.folder / "net", tmp_path / "disk")
    (models.folder / "net").symlink_to(tmp_path / "disk")
    assert models.sound(net)
    with pytest.raises(SettingsError, match="is a link"):
        models.remove(net, Told())
    assert models.sound(net)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        pytest.param(PackageFile(package="nudenet", path="320n.onnx"), "package", id="a package's"),
        pytest.param(LocalFile(path="/nowhere/x.onnx"), "your own", id="the user's"),
    ],
)
def test_what_lies_elsewhere_is_not_removed(file: ModelFile, why: str, tmp_path: Path) -> None:
    net = card(file)
    with pytest.raises(SettingsError, match=why):
        models_of(tmp_path, net).remove(net, Told())


# --- Licences -----------------------------------------------------------------------------------


def test_a_licence_is_accepted_by_its_very_name_and_remembered(site: Site, tmp_path: Path) -> None:
    net = pinned(site).model_copy(update={"licence": "CC-BY-NC-4.0", "commercial": False})
    accepted = Accepted(tmp_path / "models")
    refusal = accepted.refusal(net)
    assert 'models pull net --accept "CC-BY-NC-4.0"' in refusal
    for wrong in ("cc-by-nc-4.0", "CC-BY-NC-4.0 ", "yes", ""):
        with pytest.raises(SettingsError, match=r"The licence of net is 'CC-BY-NC-4\.0'"):
            accepted.accept(net, wrong)
    assert accepted.refusal(net) == refusal
    assert accepted.refusal(net, frozenset({"cc-by-nc-4.0"})) == ""
    accepted.accept(net, "CC-BY-NC-4.0")
    again = Accepted(tmp_path / "models")
    assert again.refusal(net) == ""
    assert again.licences() == {"CC-BY-NC-4.0"}
    assert stat.S_IMODE((tmp_path / "models" / "accepted.json").stat().st_mode) == 0o600
    assert again.refusal(net.model_copy(update={"licence": "apple-amlr"}))


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'"CC-BY-NC-4.0"'])
def test_a_damaged_list_of_licences_accepts_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "accepted.json").write_bytes(content)
    net = card(UrlFile(url="https://x.org/a.onnx")).model_copy(
        update={"licence": "CC-BY-NC-4.0", "commercial": False}
    )
    accepted = Accepted(tmp_path)
    assert accepted.refusal(net)
    accepted.accept(net, "CC-BY-NC-4.0")
    assert not accepted.refusal(net)


# --- The hub ------------------------------------------------------------------------------------


def hub_card(sha256: str | None = None) -> ModelCard:
    def file(path: str) -> HubFile:
        return HubFile(repo="some/net", revision="abcdef0123" * 4, path=path, sha256=sha256)

    return card(file("visual/model.onnx"), file("textual/model.onnx"), file("tokenizer.json"))


@pytest.mark.parametrize("etag", [SHA256, GIT_SHA1], ids=["large file", "small file"])
def test_the_hubs_files_come_and_are_what_the_hub_says(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str], etag: str
) -> None:
    site.headers = {"ETag": f'"{etag}"', "X-Repo-Commit": "abcdef0123" * 4}
    site.drops = [300_000]
    net, told = hub_card(), Told()
    models = models_of(tmp_path, net, site)
    models.pull(net, told)
    assert models.label(net) == "net@abcdef01"
    for role in ("visual", "textual", "tokenizer"):
        assert models.path(net, role).read_bytes() == CONTENT
    assert models.path(net, "visual") != models.path(net, "textual")
    assert ("GET", f"/some/net/resolve/{'abcdef0123' * 4}/visual/model.onnx", None) in site.asked
    assert told.lines[0].startswith("Connecting to 127.0.0.1")
    assert told.shares[-1] == 1.0
    assert capfd.readouterr() == ("", "")
    assert not [asked for asked in site.asked if asked[0] == "HEAD" and asked[2]]


@pytest.mark.parametrize("etag", [SHA256, GIT_SHA1], ids=["large file", "small file"])
def test_what_is_not_what_the_hub_says_is_refused(site: Site, tmp_path: Path, etag: str) -> None:
    site.headers = {"ETag": f'"{etag}"', "X-Repo-Commit": "abcdef0123" * 4}
    site.contents = [bytes(len(CONTENT))] * 2
    net = hub_card()
    with pytest.raises(ModelBroken, match="something else twice"):
        models_of(tmp_path, net, site).pull(net, Told())


def test_a_hub_out_of_reach_is_a_plain_sentence(tmp_path: Path) -> None:
    net = hub_card()
    with pytest.raises(ModelMissing, match="Cannot fetch some/net/visual") as caught:
        models_of(tmp_path, net).pull(net, Told())
    assert caught.value.remedy


# --- Files of this machine ----------------------------------------------------------------------


def test_a_packages_file_is_there_without_its_code(tmp_path: Path) -> None:
    net = card(PackageFile(package="nudenet", path="320n.onnx"))
    models = models_of(tmp_path, net)
    models.pull(net, Told())
    assert models.path(net, "network").name == "320n.onnx"
    assert models.label(net).startswith("net@3.")


def test_a_package_that_is_not_installed_is_said(tmp_path: Path) -> None:
    net = card(PackageFile(package="nosuchpackage", path="a.onnx"))
    models = models_of(tmp_path, net)
    assert not models.has(net)
    with pytest.raises(ModelMissing, match="nosuchpackage, which is not installed"):
        models.path(net, "network")
    with pytest.raises(ModelMissing, match="nosuchpackage, which is not installed"):
        models.label(net)


def test_the_users_own_file_may_change_and_its_version_with_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(CONTENT)
    net = card(LocalFile(path=str(file)), overlaid=True)
    models = models_of(tmp_path, net)
    first = models.label(net)
    assert first.startswith(f"net@{SHA256[:8]}-")
    file.write_bytes(OTHER)
    assert models.label(net) != first
    assert models.path(net, "network") == file


def test_the_users_file_is_known_by_its_version_after_it_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(CONTENT)
    net = card(LocalFile(path=str(file)), overlaid=True)
    label = models_of(tmp_path, net).label(net)
    file.unlink()
    models = models_of(tmp_path, net)
    assert models.label(net) == label
    with pytest.raises(ModelMissing, match="mend the row net"):
        models.path(net, "network")


def test_another_way_of_feeding_is_another_version(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(CONTENT)
    net = card(LocalFile(path=str(file)), overlaid=True)
    models = models_of(tmp_path, net)
    assert models.label(net) != models.label(net.model_copy(update={"colour": "bgr"}))


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"net/network": {"sha": 1}}', b"\xff"])
def test_a_damaged_list_of_records_is_written_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(CONTENT)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "recorded.json").write_bytes(content)
    net = card(LocalFile(path=str(file)), overlaid=True)
    label = models_of(tmp_path, net).label(net)
    assert models_of(tmp_path, net).label(net) == label
