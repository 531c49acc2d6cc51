"""How each kind of machine is set up: decisions about machines that are only told of."""

import base64
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from stash_sense_plugin.start import alpine, distribution, gpu, packages, plan, steps
from stash_sense_plugin.start.distribution import Apk, Distribution
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.gpu import Gpu
from stash_sense_plugin.start.machine import Machine, apart, container_id, kind_of
from stash_sense_plugin.start.pythons import Interpreter

ROOT = Path(__file__).resolve().parent.parent
CORE = str(ROOT / "requirements.txt")
EXTRAS = str(ROOT / "requirements-extras.txt")
OPTIONAL = str(ROOT / "requirements-optional.txt")

ELEVEN = Interpreter("/usr/bin/python3.11", (3, 11), makes_environments=True)
TWELVE = Interpreter("/usr/bin/python3", (3, 12), makes_environments=True)
BARE = Interpreter("/usr/bin/python3.12", (3, 12), makes_environments=False)
OLD = Interpreter("/usr/bin/python3.8", (3, 8), makes_environments=True)
FOURTEEN = Interpreter("/usr/bin/python3.14", (3, 14), makes_environments=True)
NEW = Interpreter("/usr/bin/python3.15", (3, 15), makes_environments=True)

DEBIAN = Machine(
    "Linux", "x86_64", "glibc 2.36", (ELEVEN,), 10**11,
    release=Distribution("Debian GNU/Linux 12", ("debian",), (12,)),
)  # fmt: skip
APK = Apk(
    "/sbin/apk",
    (
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/main",
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/community",
    ),
)
ALPINE = Machine(
    "Linux", "x86_64", "musl", (TWELVE,), 10**11,
    release=Distribution("Alpine Linux 3.23.0", ("alpine",), (3, 23, 0)),
    root=True, apk=APK, system_python=TWELVE,
)  # fmt: skip
MAC = Machine("Darwin", "arm64", "", (ELEVEN,), 10**11)
WINDOWS = Machine("Windows", "AMD64", "", (ELEVEN,), 10**11)
NVIDIA = Gpu("NVIDIA", "550.54.14", (12, 4))


def refusal(machine: Machine) -> StartError:
    with pytest.raises(StartError) as caught:
        plan.make(machine, "/home/env.part-1", CORE)
    return caught.value


def titles(made: steps.Plan) -> list[str]:
    return [step.title for step in made.steps]


def shares(made: steps.Plan) -> float:
    trial = [*made.trial.steps, *made.trial.otherwise] if made.trial else []
    return sum(step.weight for step in (*made.steps, *trial, made.check))


# --- glibc, macOS, Windows ------------------------------------------------------------------


@pytest.mark.parametrize("machine", [DEBIAN, MAC, WINDOWS], ids=["Debian", "macOS", "Windows"])
def test_a_plan_makes_installs_and_checks(machine: Machine) -> None:
    made = plan.make(machine, "/home/env.part-1", CORE)
    assert titles(made) == ["Making the environment", "Installing the packages"]
    assert made.steps[0].argv[0] == "/usr/bin/python3.11"
    assert made.steps[1].argv[0] == made.check.argv[0] == "/home/env.part-1/bin/python"
    assert made.steps[1].argv[-2:] == ("-r", CORE)
    assert [step.reaches_out for step in made.steps] == [False, True]
    assert made.runtime == "onnxruntime"
    assert made.why_no_gpu == ""
    assert shares(made) == pytest.approx(1)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        pytest.param([ELEVEN], ELEVEN, id="the only one"),
        pytest.param([OLD, ELEVEN], ELEVEN, id="the first that is new enough"),
        pytest.param([NEW, ELEVEN], ELEVEN, id="the first that is not too new"),
        pytest.param([BARE, ELEVEN], ELEVEN, id="the first that makes environments"),
        pytest.param([TWELVE._replace(fault="32 bits"), ELEVEN], ELEVEN, id="the first of use"),
    ],
)
def test_the_first_python_that_fits_is_chosen(
    found: list[Interpreter], chosen: Interpreter
) -> None:
    assert plan.choose(DEBIAN._replace(interpreters=tuple(found))) == chosen


def test_an_intel_mac_takes_a_python_that_onnxruntime_still_has_wheels_for() -> None:
    intel = MAC._replace(architecture="x86_64", interpreters=(FOURTEEN, TWELVE))
    assert plan.choose(intel) == TWELVE
    assert plan.choose(MAC._replace(interpreters=(FOURTEEN, TWELVE))) == FOURTEEN


def on(*family: str, version: str = "") -> Distribution:
    numbers = tuple(int(part) for part in version.split(".") if part)
    return Distribution(f"{family[0].title()} {version}".strip(), family, numbers)


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        pytest.param(DEBIAN, "apt install python3 python3-venv", id="Debian"),
        pytest.param(
            DEBIAN._replace(release=on("debian", version="11")), "Debian 11 has none", id="old"
        ),
        pytest.param(
            DEBIAN._replace(release=on("ubuntu", "debian", version="22.04")),
            "apt install python3.11 python3.11-venv",
            id="Ubuntu 22.04",
        ),
        pytest.param(
            DEBIAN._replace(release=on("linuxmint", "ubuntu", "debian", version="7")),
            "apt install python3 python3-venv",
            id="what is like Ubuntu",
        ),
        pytest.param(
            DEBIAN._replace(release=on("rocky", "rhel", "centos", "fedora", version="9.4")),
            "dnf install python3.12",
            id="Rocky",
        ),
        pytest.param(
            DEBIAN._replace(release=on("fedora", version="43")), "dnf install python3.12", id="F"
        ),
        pytest.param(DEBIAN._replace(release=on("arch")), "pacman -S python", id="Arch"),
        pytest.param(
            DEBIAN._replace(release=on("opensuse-leap", "suse", "opensuse", version="15.6")),
            "zypper install python312",
            id="openSUSE",
        ),
        pytest.param(DEBIAN._replace(release=Distribution()), "uv python install", id="unknown"),
        pytest.param(MAC, "brew install python@3.12", id="macOS"),
        pytest.param(WINDOWS, "winget install Python.Python.3.12", id="Windows"),
    ],
)
def test_without_a_python_it_names_what_brings_one(machine: Machine, says: str) -> None:
    without = machine._replace(interpreters=(OLD,))
    assert refusal(without).message.endswith("found here: 3.8")
    assert says in refusal(without).remedy
    assert "Python path" in refusal(without).remedy


@pytest.mark.parametrize(
    ("release", "says"),
    [
        pytest.param(on("debian", version="12"), "apt install python3.12-venv", id="Debian"),
        pytest.param(on("opensuse-leap", "suse"), "zypper install python312-base", id="openSUSE"),
        pytest.param(Distribution(), "install the package python3.12-venv", id="unknown"),
    ],
)
def test_a_python_without_venv_says_which_package_has_it(release: Distribution, says: str) -> None:
    error = refusal(DEBIAN._replace(interpreters=(BARE,), release=release))
    assert "lacks its module venv" in error.message
    assert error.remedy.startswith(says)


@pytest.mark.parametrize(
    ("machine", "message", "remedy"),
    [
        pytest.param(
            DEBIAN._replace(disk_free_bytes=10**8), "100 MB free", "STASH_SENSE_HOME", id="disk"
        ),
        pytest.param(
            DEBIAN._replace(architecture="armv7l"), "this is armv7l", "run Stash on", id="32 bit"
        ),
        pytest.param(
            DEBIAN._replace(system="FreeBSD", libc=""), "FreeBSD", "STASH_SENSE_PYTHON", id="BSD"
        ),
    ],
)
def test_where_there_is_no_way_it_says_why(machine: Machine, message: str, remedy: str) -> None:
    assert message in refusal(machine).message
    assert remedy in refusal(machine).remedy


def test_a_disk_of_unknown_size_is_tried_and_a_full_one_is_not() -> None:
    assert plan.make(DEBIAN._replace(disk_free_bytes=-1), "/home/env", CORE).steps
    assert refusal(DEBIAN._replace(disk_free_bytes=0)).message.startswith("The disk has 0 MB free")


# --- Alpine ---------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_alpine_takes_from_apk_what_has_no_wheels(architecture: str) -> None:
    made = plan.make(ALPINE._replace(architecture=architecture), "/home/env.part-1", CORE)
    assert titles(made) == [
        "Installing Alpine's packages",
        "Making the environment",
        "Installing the packages",
        "Installing nudenet and rapidocr",
    ]
    fetch, venv, wheels, loose = made.steps
    assert fetch.argv == (
        *("/sbin/apk", "add", "--no-cache"),
        *("py3-onnxruntime", "py3-opencv", "py3-pyclipper"),
    )
    assert fetch.hosts == ("dl-cdn.alpinelinux.org",)
    assert venv.argv[:4] == ("/usr/bin/python3", "-I", "-m", "venv")
    assert "--system-site-packages" in venv.argv
    asked = [packages.name_of(word) for word in wheels.argv]
    assert not {"onnxruntime", "opencv-python-headless", "pyclipper", "rapidocr", "nudenet"} & {
        *asked
    }
    assert {"numpy", "omegaconf", "shapely", "colorlog", "six", "tqdm"} <= {*asked}
    # Nothing is ever compiled: the image has no compiler, and it would take an hour.
    for step in (wheels, loose):
        assert step.argv[step.argv.index("--only-binary") + 1] == ":all:"
    assert "--no-deps" in loose.argv
    assert made.runtime == "py3-onnxruntime"
    # The image may have more of them than those three, and pip is content with what is there.
    assert {"onnxruntime", "cv2", "pyclipper", *packages.IMPORTS} == {*made.leans_on}
    assert shares(made) == pytest.approx(1)


def test_an_image_that_has_alpines_packages_needs_neither_apk_nor_root() -> None:
    own = ALPINE._replace(brought=("onnxruntime", "cv2", "pyclipper"), root=False, apk=None)
    made = plan.make(own, "/home/env.part-1", CORE)
    assert titles(made)[0] == "Making the environment"
    assert made.leans_on
    assert made.weight.download_bytes < plan.make(ALPINE, "/e", CORE).weight.download_bytes


def test_all_rows_of_the_core_are_installed_on_alpine_too() -> None:
    made = plan.make(ALPINE, "/home/env.part-1", CORE)
    asked = {packages.name_of(word) for step in made.steps for word in step.argv}
    rows = {packages.name_of(row) for row in packages.rows_of(CORE)}
    assert rows - asked == {"onnxruntime", "opencv-python-headless"}


def test_what_rapidocr_and_nudenet_need_is_whole() -> None:
    # Their wheels' own metadata say it; a new release that needs more fails here.
    from importlib.metadata import distribution as installed

    have = {packages.name_of(row) for row in packages.rows_of(CORE)} | {*packages.BY_APK}
    for name in packages.LOOSE:
        needs = [row for row in installed(name).requires or [] if "extra ==" not in row]
        named = {packages.name_of(row) for row in packages.NEEDS_OF_LOOSE[name]}
        assert {packages.name_of(row) for row in needs} <= have | named


def test_without_root_the_commands_are_named() -> None:
    user = ALPINE._replace(root=False, container="0123456789ab", brought=("cv2",))
    error = refusal(user)
    assert error.message == (
        "Alpine's py3-onnxruntime, py3-pyclipper are missing, and only root may install them"
    )
    add = "apk add --no-cache py3-onnxruntime py3-opencv py3-pyclipper"
    assert f"docker exec -u root 0123456789ab {add}" in error.remedy
    assert f"`FROM stashapp/stash` and, in the next line, `RUN {add}`" in error.remedy
    assert "docker exec -u root <container>" in refusal(user._replace(container="")).remedy
    one = refusal(user._replace(brought=("cv2", "pyclipper")))
    assert one.message == "Alpine's py3-onnxruntime is missing, and only root may install it"


@pytest.mark.parametrize(
    ("machine", "message", "remedy"),
    [
        pytest.param(
            ALPINE._replace(apk=Apk("/sbin/apk", APK.repositories[:1])),
            "`community`, which has onnxruntime, is not enabled",
            "`https://dl-cdn.alpinelinux.org/alpine/v3.23/community` to /etc/apk/repositories",
            id="community is not enabled",
        ),
        pytest.param(
            ALPINE._replace(apk=None, release=on("void")),
            "Void is a kind of Linux for which there is no ready-made onnxruntime",
            "STASH_SENSE_PYTHON",
            id="musl without apk",
        ),
        pytest.param(
            ALPINE._replace(system_free_bytes=4 * 10**8),
            "The disk of / has 400 MB free, and Alpine's packages need 500 MB",
            "make room there",
            id="the system's own disk",
        ),
        pytest.param(
            ALPINE._replace(architecture="armv7l"),
            "py3-onnxruntime of Alpine is built for x86_64 and aarch64 alone, and this is armv7l",
            "run Stash on such a machine",
            id="a Raspberry Pi",
        ),
        pytest.param(
            ALPINE._replace(system_python=OLD),
            "Alpine Linux 3.23.0 has Python 3.8",
            "docker pull stashapp/stash",
            id="an old image",
        ),
    ],
)
def test_what_keeps_alpine_from_it_is_said(machine: Machine, message: str, remedy: str) -> None:
    assert message in refusal(machine).message
    assert remedy in refusal(machine).remedy


def test_where_alpines_python_is_not_yet_here_apk_brings_it() -> None:
    made = plan.make(ALPINE._replace(system_python=None), "/home/env.part-1", CORE)
    assert made.interpreter.path == "/usr/bin/python3"
    assert made.interpreter.name == ""


@pytest.mark.parametrize(
    ("row", "says"),
    [
        pytest.param("  py3-onnxruntime (no such package):", "Alpine 3.23", id="old Alpine"),
        pytest.param("ERROR: Unable to lock database: Permission denied", "docker exec", id="user"),
        pytest.param("WARNING: fetching ...: DNS lookup error", "network", id="no network"),
        pytest.param("ERROR: py3-opencv: No space left on device", "make room", id="full disk"),
        pytest.param("ERROR: Read-only file system", "FROM stashapp/stash", id="read-only"),
    ],
)
def test_what_apk_says_becomes_what_to_do(row: str, says: str) -> None:
    fetch = plan.make(ALPINE, "/home/env.part-1", CORE).steps[0]
    remedies = [remedy for pattern, remedy in fetch.hints if re.search(pattern, row)]
    assert says in remedies[0]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        pytest.param(
            ["# https://no.example/main", "", "https://a.example/alpine/v3.23/main"],
            ("https://a.example/alpine/v3.23/main",),
            id="comments and blanks",
        ),
        pytest.param(
            ["@edge https://a.example/edge/community"],
            ("https://a.example/edge/community",),
            id="a tag",
        ),
        pytest.param(
            ["https://a.example/alpine/v3.24 main community"],
            ("https://a.example/alpine/v3.24/main", "https://a.example/alpine/v3.24/community"),
            id="apk 3",
        ),
        pytest.param(["/media/usb/apks"], ("/media/usb/apks",), id="a folder"),
    ],
)
def test_apks_repositories_are_read(rows: list[str], found: tuple[str, ...]) -> None:
    assert distribution.read_repositories(rows) == found


def test_apks_files_are_read_where_they_lie(tmp_path: Path) -> None:
    folder = tmp_path / "etc/apk/repositories.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc/apk/repositories").write_text("/media/usb/apks\n")
    (folder / "a.list").write_text("https://a.example/v3.24 main community\n")
    found = distribution.look_for_apk("/sbin/apk", str(tmp_path))
    assert found is not None
    assert found.hosts == ("a.example",)
    assert found.community
    assert distribution.look_for_apk(None) is None


# --- What the system is ---------------------------------------------------------------------


def test_an_os_release_is_read(tmp_path: Path) -> None:
    assert distribution.look(str(tmp_path)) == Distribution()
    text = 'NAME="Rocky Linux"\nVERSION_ID="9.4"\n# no\nID=rocky\nID_LIKE="rhel centos fedora"\n'
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(text + "BROKEN='\n")
    found = distribution.look(str(tmp_path))
    assert found == Distribution("Rocky Linux 9.4", ("rocky", "rhel", "centos", "fedora"), (9, 4))


@pytest.mark.parametrize(
    ("system", "libc", "kind"),
    [
        ("Linux", "glibc 2.36", "glibc"),
        ("Linux", "musl", "musl"),
        ("Darwin", "", "macos"),
        ("Windows", "", "windows"),
        ("FreeBSD", "", "other"),
    ],
)
def test_a_machine_has_a_kind(system: str, libc: str, kind: str) -> None:
    assert kind_of(system, libc) == kind


def test_outside_of_a_container_there_is_no_id_of_one(tmp_path: Path) -> None:
    assert container_id(str(tmp_path)) == ""


def test_a_process_is_set_apart_in_the_systems_own_way() -> None:
    assert apart("Linux") == apart("Darwin") == {"start_new_session": True}
    assert set(apart("Windows")) == {"creationflags"}


# --- The graphics card ----------------------------------------------------------------------

SMI = """
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI {0}              Driver Version: {0}      {1} Version: {2}     |
|-----------------------------------------+------------------------+----------------------+
"""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (SMI.format("550.54.14", "CUDA", "12.4"), ("550.54.14", (12, 4))),
        (SMI.format("590.10", "CUDA UMD", "13.1"), ("590.10", (13, 1))),
        (SMI.format("535.129.03", "CUDA", "N/A"), ("535.129.03", (12, 0))),
        ("Failed to initialize NVML: Driver/library version mismatch", ("", (0, 0))),
    ],
    ids=["12.4", "13.1", "no CUDA told", "broken"],
)
def test_nvidias_tool_is_read(text: str, read: tuple[str, tuple[int, int]]) -> None:
    assert gpu.read_smi(text) == read


KERNEL = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Wed Oct 25 2023\nGCC version: gcc 12\n"
)
OPEN_KERNEL = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build\n"


@pytest.mark.parametrize("text", [KERNEL, OPEN_KERNEL], ids=["closed", "open"])
@pytest.mark.parametrize(
    ("driver", "cuda"),
    [("470.223.02", (11, 0)), ("535.129.03", (12, 0)), ("580.65.06", (13, 0)), ("390.1", (0, 0))],
)
def test_without_the_tool_the_kernel_tells_the_driver(
    tmp_path: Path, text: str, driver: str, cuda: tuple[int, int]
) -> None:
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text(text.format(driver))
    found = gpu.look(str(tmp_path), tools=(), libraries=("no-such-library.so",))
    assert found == Gpu("NVIDIA", driver, cuda, computes=False)


def test_the_tool_is_asked_and_its_failure_is_none(tmp_path: Path) -> None:
    tool, broken = tmp_path / "nvidia-smi", tmp_path / "broken"
    tool.write_text("#!/bin/sh\ncat <<X\n" + SMI.format("550.54.14", "CUDA", "12.4") + "X\n")
    broken.write_text("#!/bin/sh\necho no devices were found; exit 6\n")
    tool.chmod(0o755)
    broken.chmod(0o755)
    found = gpu.look(str(tmp_path), tools=(str(broken), str(tool)), libraries=("libc.so.6",))
    assert found == NVIDIA
    assert found.found == "NVIDIA driver 550.54.14, CUDA 12.4"
    assert gpu.look(str(tmp_path), tools=(str(broken),)) == Gpu()


@pytest.mark.parametrize(
    ("vendors", "maker"),
    [(["0x1002"], "AMD"), (["0x8086", "0x10de"], "NVIDIA"), (["0x1234"], ""), ([], "")],
)
def test_the_kernel_shows_who_made_the_card(tmp_path: Path, vendors: list[str], maker: str) -> None:
    for number, vendor in enumerate(vendors):
        folder = tmp_path / f"sys/class/drm/card{number}/device"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(vendor + "\n")
    assert gpu.look(str(tmp_path), tools=()) == Gpu(maker)


def test_looking_for_a_card_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STASH_SENSE_GPU", "off")
    assert gpu.look() == Gpu()


@pytest.mark.parametrize(
    ("cuda", "asked"),
    [
        ((12, 0), "onnxruntime-gpu[cuda,cudnn]>=1.21,<1.27"),
        ((12, 9), "onnxruntime-gpu[cuda,cudnn]>=1.21,<1.27"),
        ((13, 0), "onnxruntime-gpu[cuda,cudnn]>=1.28,<2"),
        ((14, 1), "onnxruntime-gpu[cuda,cudnn]>=1.28,<2"),
    ],
)
def test_the_drivers_cuda_chooses_the_runtime(cuda: tuple[int, int], asked: str) -> None:
    runtime, why = gpu.choose(NVIDIA._replace(cuda=cuda), "Linux", "x86_64")
    assert runtime is not None
    assert (runtime.requirement, why) == (asked, "")


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        pytest.param(DEBIAN, "", id="no card"),
        pytest.param(DEBIAN._replace(gpu=Gpu("AMD")), "only NVIDIA's", id="AMD"),
        pytest.param(DEBIAN._replace(gpu=Gpu("NVIDIA")), "own driver is not", id="nouveau"),
        pytest.param(
            DEBIAN._replace(gpu=NVIDIA._replace(cuda=(11, 4))), "has CUDA 11.4, and", id="too old"
        ),
        pytest.param(
            DEBIAN._replace(gpu=NVIDIA._replace(cuda=(0, 0))), "has no CUDA known", id="unknown"
        ),
        pytest.param(
            DEBIAN._replace(gpu=NVIDIA._replace(computes=False)),
            "NVIDIA_DRIVER_CAPABILITIES=compute",
            id="a container without compute",
        ),
        pytest.param(
            DEBIAN._replace(gpu=NVIDIA, disk_free_bytes=5 * 10**9), "5.0 GB are free", id="disk"
        ),
        pytest.param(
            DEBIAN._replace(gpu=NVIDIA, architecture="aarch64"),
            "no onnxruntime with CUDA",
            id="ARM",
        ),
    ],
)
def test_without_a_gpu_plain_onnxruntime_comes_and_the_reason_stays(
    machine: Machine, why: str
) -> None:
    made = plan.make(machine, "/home/env.part-1", CORE)
    assert made.trial is None
    assert made.runtime == "onnxruntime"
    assert made.why_no_gpu == why or (why and why in made.why_no_gpu)


@pytest.mark.parametrize("machine", [DEBIAN, WINDOWS], ids=["Linux", "Windows"])
def test_a_gpu_gets_one_onnxruntime_and_the_way_back(machine: Machine) -> None:
    made = plan.make(machine._replace(gpu=NVIDIA), "/home/env.part-1", CORE)
    asked = [packages.name_of(word) for step in made.steps for word in step.argv]
    assert "onnxruntime" not in asked
    assert "onnxruntime-gpu" not in asked
    # nudenet would bring plain onnxruntime along.
    assert "--no-deps" in made.steps[2].argv
    assert made.trial is not None
    install, proof = made.trial.steps
    assert install.argv[-1] == "onnxruntime-gpu[cuda,cudnn]>=1.21,<1.27"
    assert "preload_dlls" in " ".join(proof.argv)
    assert [packages.name_of(made.trial.otherwise[1].argv[-1])] == ["onnxruntime"]
    assert made.trial.runtime == "onnxruntime-gpu"
    assert shares(made) == pytest.approx(1)


def test_the_proof_of_the_gpu_runs_and_believes_no_cpu() -> None:
    import onnxruntime

    onnx.checker.check_model(
        onnx.load_model_from_string(base64.b64decode(gpu.NETWORK)), full_check=True
    )
    ran = subprocess.run(gpu.proof(sys.executable), capture_output=True, text=True, check=False)
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers() and ran.returncode == 0:
        return
    assert ran.returncode == 1
    assert "onnxruntime gave CPUExecutionProvider and [4.0, 4.0, 4.0, 4.0]" in ran.stderr
    assert gpu.reason(ran.stderr.splitlines())


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        pytest.param(
            ["[E:onnxruntime] ... with error: libcudnn.so.9: cannot open shared object file"],
            "libcudnn.so.9: cannot open shared object file",
            id="a library is missing",
        ),
        pytest.param(
            [
                "EP Error ... CUDA failure 35: driver version is insufficient ; GPU=-1",
                "onnxruntime",
            ],
            "CUDA failure 35: driver version is insufficient",
            id="CUDA's own words",
        ),
        pytest.param(
            ["Collecting x", "ERROR: No matching distribution found for onnxruntime-gpu"],
            "No matching distribution found for onnxruntime-gpu",
            id="pip's words",
        ),
        pytest.param([], "", id="nothing"),
    ],
)
def test_the_reason_is_found_in_what_was_printed(rows: list[str], why: str) -> None:
    assert gpu.reason(rows) == why


# --- The extras -----------------------------------------------------------------------------


def test_the_extras_get_one_opencv() -> None:
    made = plan.make_extras(DEBIAN, "/home/extras.part-1", EXTRAS)
    assert made.steps[1].argv[-2:] == ("-r", EXTRAS)
    removal, one = made.steps[2:]
    assert {*packages.CV2} <= {*removal.argv}
    assert one.argv[-2:] == ("--no-deps", packages.ONE_CV2)
    for module in ("torch", "open_clip", "ultralytics", "timm", "paddleocr", "mediapipe"):
        assert re.search(rf"\b{module}\b", made.check.argv[-1])
    assert shares(made) == pytest.approx(1)
    assert made.weight.disk_bytes > 9 * packages.CORE.disk_bytes


def test_every_extra_is_checked() -> None:
    modules = {"open-clip-torch": "open_clip"}
    for row in packages.rows_of(EXTRAS):
        name = packages.name_of(row)
        assert modules.get(name, name) in packages.EXTRA_IMPORTS


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        pytest.param(ALPINE, "Alpine Linux", id="Alpine"),
        pytest.param(MAC._replace(architecture="x86_64"), "Intel processor", id="an Intel Mac"),
        pytest.param(DEBIAN._replace(disk_free_bytes=9 * 10**9), "needs 10.4 GB", id="short disk"),
        pytest.param(DEBIAN._replace(interpreters=(OLD,)), "found here: 3.8", id="no Python"),
        pytest.param(
            DEBIAN._replace(interpreters=(TWELVE._replace(fault="PyPy"),)),
            "found here: 3.12 (PyPy)",
            id="another Python",
        ),
        pytest.param(
            DEBIAN._replace(system="Plan9", libc=""), "Plan9: there are no ready-made", id="unknown"
        ),
    ],
)
def test_where_there_are_no_extras_it_says_why(machine: Machine, says: str) -> None:
    with pytest.raises(StartError) as caught:
        plan.make_extras(machine, "/home/extras.part-1", EXTRAS)
    assert says in caught.value.message
    assert caught.value.remedy


# --- What may be missing --------------------------------------------------------------------


@pytest.mark.parametrize("machine", [DEBIAN, MAC, WINDOWS, DEBIAN._replace(gpu=NVIDIA)])
def test_what_makes_networks_lighter_is_tried_and_never_built(machine: Machine) -> None:
    made = plan.make(machine, "/home/env", CORE)
    [step] = made.optional
    assert step.argv[-4:] == ("--only-binary", ":all:", "-r", OPTIONAL)
    assert step.reaches_out
    assert step.by_pip
    assert made.left_out == ""
    assert not packages.only(packages.rows_of(CORE), ("onnx",))


def test_what_joins_an_environment_that_is_there_says_what_it_weighs() -> None:
    made = plan.join(DEBIAN, "/home/env", CORE)
    [step] = made.optional
    assert (made.steps, made.weight, step.argv[-1]) == ((), packages.OPTIONAL, OPTIONAL)
    assert step.weight + made.check.weight == 1.0
    with pytest.raises(StartError, match="what makes networks lighter needs"):
        plan.join(DEBIAN._replace(disk_free_bytes=10**6), "/home/env", CORE)


def test_on_alpine_it_says_that_networks_stay_as_they_come() -> None:
    made = plan.make(ALPINE, "/home/env", CORE)
    assert made.optional == ()
    assert "onnx" in made.left_out
    assert "int8" in made.left_out


def test_a_package_without_the_file_of_options_has_none(tmp_path: Path) -> None:
    alone = tmp_path / "requirements.txt"
    alone.write_text("numpy>=2\n")
    assert plan.make(DEBIAN, "/home/env", str(alone)).optional == ()


# --- What pip is told, and how steps end ----------------------------------------------------


def test_only_what_works_here_alone_is_ended_when_it_hangs() -> None:
    made = plan.make(DEBIAN._replace(gpu=NVIDIA), "/home/env", CORE)
    assert made.trial is not None
    extras = plan.make_extras(DEBIAN, "/home/extras", EXTRAS)
    every = [*made.steps, *made.trial.steps, *made.trial.otherwise, made.check, extras.check]
    limited = {step.title for step in every if step.limit_s}
    assert limited == {
        *("Trying the GPU", "Removing CUDA", "Checking the packages", "Checking the extras")
    }
    assert not any(step.limit_s for step in every if step.reaches_out)


@pytest.mark.parametrize("row", ["global.target='/opt'", "install.prefix='/opt'"])
def test_a_setting_of_pip_that_leads_elsewhere_is_refused(row: str) -> None:
    with pytest.raises(StartError, match="packages go to /opt") as caught:
        steps.refuse_settings(f"global.index-url='https://a.example'\n{row}\n")
    assert "pip config debug" in caught.value.remedy


def test_pip_puts_packages_into_the_environment_whatever_its_settings_say() -> None:
    steps.refuse_settings("install.user='true'\nglobal.index-url='https://a.example'\n")
    assert "--no-user" in plan.make(DEBIAN, "/home/env", CORE).steps[1].argv
    told = steps.settings_of({"PIP_INDEX_URL": "https://u:p@a.example/simple", "HOME": "/home/me"})
    assert steps.hosts(told) == ("a.example",)


@pytest.mark.parametrize(
    ("status", "rows", "told"),
    [
        (2, ["a", "b"], "failed with status 2 (a | b)"),
        (-11, [], "was ended by SIGSEGV"),
        (-9, ["a"], "was ended by SIGKILL, memory may be short (a)"),
        (-99, [], "was ended by signal 99"),
    ],
)
def test_how_a_step_ended_is_said(status: int, rows: list[str], told: str) -> None:
    assert steps.ended(status, rows) == told


# --- Rows and hosts -------------------------------------------------------------------------


def test_rows_are_read_without_comments(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# no\n\nav>=14,<19  # why\nPy_YAML>=6\ngit+https://a.example/#egg=x\n")
    rows = packages.rows_of(str(path))
    assert rows == ("av>=14,<19", "Py_YAML>=6", "git+https://a.example/#egg=x")
    assert packages.name_of(rows[1]) == "py-yaml"
    assert packages.only(rows, ("av",)) + packages.without(rows, ("av",)) == rows


def test_alpines_own_line_can_be_pasted() -> None:
    assert alpine.ADD in alpine.IMAGE
