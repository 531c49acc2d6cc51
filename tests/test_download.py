"""Downloads against a small server on this machine that behaves as badly as it is told to."""

import hashlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stash_sense_plugin.errors import Cancelled, ModelBroken, ModelMissing
from stash_sense_plugin.inference.catalogue import (
    Catalogue,
    HubFile,
    LocalFile,
    ModelCard,
    PackageFile,
    UrlFile,
)
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.records import Level
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


def card(*files: HubFile | UrlFile | PackageFile | LocalFile, overlaid: bool = False) -> ModelCard:
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
