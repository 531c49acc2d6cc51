"""Our keyframe sampling against one ffmpeg process per frame, over ten minutes of 1080p.

    python -m benchmarks.sampling [--frames 60] [--runs 3] [--keep FOLDER]

A clip of 20 seconds is encoded once and looped by stream copy. Both read pictures at the same
times, shrunk to the same size: ffmpeg the exact one by `-ss` before the input, as most plugins do;
ours the keyframe at or before it. A third line gives ffmpeg the same licence (`-noaccurate_seek`,
keyframes only), so that the cost of the processes alone is seen. The goal is a ratio of 10 over
the first.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.machine import machine_line
from stash_sense_plugin.media.sampling import even_times
from stash_sense_plugin.media.video import read_exact, read_keyframes

SEED_S = 20
LOOPS = 30
SIZE = (384, 216)
GOAL = 10


def main() -> int:
    """Measure and print; 1 where the goal was missed, 2 without ffmpeg."""
    options = _options()
    ffmpeg = shutil.which("ffmpeg")
    if not ffmpeg:
        print("ffmpeg is not on PATH: install it to compare with it", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(dir=options.keep) as folder:
        video = _video(ffmpeg, Path(folder))
        ratio = _compare(ffmpeg, video, options.frames, options.runs)
    return 0 if ratio >= GOAL else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=60, help="frames to read (60)")
    parser.add_argument("--runs", type=int, default=3, help="runs of ours, the median counts (3)")
    parser.add_argument("--keep", type=Path, default=None, help="where to put the video (tmp)")
    return parser.parse_args()


def _video(ffmpeg: str, folder: Path) -> Path:
    seed, video = folder / "seed.mp4", folder / "video.mp4"
    source = f"testsrc2=size=1920x1080:rate=30:duration={SEED_S}"
    encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-g", "250"]
    _run(ffmpeg, "-f", "lavfi", "-i", source, *encode, "-pix_fmt", "yuv420p", str(seed))
    _run(ffmpeg, "-stream_loop", str(LOOPS - 1), "-i", str(seed), "-c", "copy", str(video))
    return video


def _compare(ffmpeg: str, video: Path, count: int, runs: int) -> float:
    times_s = even_times(SEED_S * LOOPS, count)
    print(machine_line(video.parent))
    print(f"{count} frames at {SIZE[0]} x {SIZE[1]} of {SEED_S * LOOPS} s 1080p30 h264, GOP 250")
    ours = sorted(
        _timed(lambda: sum(1 for _ in read_keyframes(video, times_s, SIZE[0], "b")), count)
        for _ in range(runs)
    )[runs // 2]
    exact = _timed(lambda: sum(1 for _ in read_exact(video, times_s, SIZE[0], "b")), count)
    theirs = _timed(lambda: _per_process(ffmpeg, video, times_s, ()), count)
    coarse = ("-noaccurate_seek", "-skip_frame", "nokey")
    licensed = _timed(lambda: _per_process(ffmpeg, video, times_s, coarse), count)
    for name, seconds in [
        ("ours, keyframes", ours),
        ("ours, exact times", exact),
        ("one ffmpeg per frame", theirs),
        ("one ffmpeg per frame, keyframes", licensed),
    ]:
        print(f"{name:32} {seconds:8.2f} s  {seconds / ours:6.1f} x ours")
    ratio = theirs / ours
    print(f"ratio {ratio:.1f} (goal {GOAL}): {'reached' if ratio >= GOAL else 'MISSED'}")
    return ratio


def _per_process(ffmpeg: str, video: Path, times_s: Sequence[float], more: Sequence[str]) -> int:
    size = SIZE[0] * SIZE[1] * 3
    count = 0
    for time_s in times_s:
        out = ["-frames:v", "1", "-s", f"{SIZE[0]}x{SIZE[1]}", "-pix_fmt", "rgb24"]
        pixels = _run(
            ffmpeg, *more, "-ss", f"{time_s:.3f}", "-i", str(video), *out, "-f", "rawvideo", "-"
        )
        count += len(pixels) == size
    return count


def _timed(work: Callable[[], int], wanted: int) -> float:
    begun = perf_counter()
    count = work()
    seconds = perf_counter() - begun
    # Two times may share a keyframe; much less than half of them would be no comparison.
    if 2 * count < wanted:
        raise SystemExit(f"only {count} of {wanted} frames were read: nothing to compare")
    return seconds


def _run(ffmpeg: str, *words: str) -> bytes:
    command = [ffmpeg, "-v", "error", "-nostdin", "-y", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"ffmpeg failed: {done.stderr.decode(errors='replace')[-500:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
