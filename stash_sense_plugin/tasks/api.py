"""What the pages ask and are told: the shapes of it, from which their own types are made.

`PAGES` names the modes; what is asked are a call's arguments beside `mode`, what is told is its
output. Times end in `_s`: seconds of a scene, or since 1970 where something happened then. Shares
are 0..1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from stash_sense_plugin.records import Kind


class NothingAsked(TypedDict):
    """No arguments."""


# --- What is suggested --------------------------------------------------------------------------


class Range(TypedDict):
    """A stretch of a scene."""

    start_s: float
    end_s: float
    score: float


class Proof(TypedDict):
    """One frame that shows why; `box` is x, y, width and height as shares of the picture."""

    time_s: float
    score: float
    detector: str
    model: str
    box: list[float] | None
    text: str | None


Decided = Literal["HIDE", "ASK", "APPLY"]
"""What becomes of a suggestion: nothing is shown, it is asked about, it is written."""

Verdict = Literal["accepted", "refused"]
"""What the user said of it."""

Thing = Literal["tag", "studio", "performer", "marker"]
"""What can be spoken of: a suggestion by its kind, or the markers of a suggested tag."""

InStash = Literal["absent", "there", "ours"]
"""Whether the scene has it in Stash: not, yes, or yes and Stash Sense wrote it."""


class SuggestionRow(TypedDict):
    """One suggestion for one scene."""

    scene_id: str
    title: str
    source: str
    """The path of its file."""
    kind: Thing
    """Of `marker`, name, label and confidence are the tag's; `decision` too."""
    name: str
    """Ours, by which it is spoken of."""
    called: NotRequired[str]
    """What the tag is called in Stash, where that is another name."""
    label: str
    target_id: str | None
    confidence: float
    decision: Decided
    said: Verdict | None
    in_stash: InStash | None
    """None where Stash was not asked."""
    duration_s: NotRequired[float | None]
    """The scene's; None where Stash was not asked."""
    ranges: list[Range]
    evidence: list[Proof]


class SuggestionsAsked(TypedDict):
    """By tag: the scenes of `tag`. By scene: those of `scene_id`. Else all, scene after scene."""

    by: NotRequired[Literal["tag", "scene"]]
    tag: NotRequired[str]
    kind: NotRequired[Kind]
    scene_id: NotRequired[str]
    decision: NotRequired[Literal["ask", "apply", "refused"]]
    after: NotRequired[str]
    limit: NotRequired[int]


class SuggestionsTold(TypedDict):
    """A page of suggestions; `next` is the next one's `after`, null at the end."""

    suggestions: list[SuggestionRow]
    next: str | None


class Counted(TypedDict):
    """How often one thing is suggested."""

    kind: Kind
    name: str
    ask: int
    apply: int
    refused: int


class CountsTold(TypedDict):
    """A page of what is suggested by name."""

    tags: list[Counted]
    next: str | None


# --- What the user says of it -------------------------------------------------------------------


class Named(TypedDict):
    """A suggestion that is spoken of."""

    scene_id: str
    kind: NotRequired[Thing]
    name: str
    target_id: NotRequired[str]


class VerdictAsked(TypedDict):
    """The suggestions in `items`, or of a tag all that are at least as certain as `above`."""

    items: NotRequired[list[Named]]
    tag: NotRequired[str]
    kind: NotRequired[Kind]
    """Of what is called `tag`, only that kind."""
    above: NotRequired[float]
    dry_run: NotRequired[bool]


class NotDone(TypedDict):
    """What could not be done, or stays as it is."""

    scene_id: str
    kind: str
    name: str
    target_id: str
    message: str
    remedy: str


class VerdictTold(TypedDict):
    """What came of it; of all failures the first hundred are named."""

    run_id: str | None
    dry_run: bool
    failed: int
    failures: list[NotDone]


class AcceptTold(VerdictTold):
    """Of the accepted, those were written, and those were there already."""

    accepted: int
    written: int
    there: int
    markers: int


class RefuseTold(VerdictTold):
    """Of the refused, those were taken back, and those are not ours to take."""

    refused: int
    taken_back: int
    markers: int
    not_ours: int
    left: list[NotDone]


class NamedSaid(Named):
    """A suggestion of which something was said: with `said`, that alone is taken back."""

    said: NotRequired[Verdict]


class UnsayAsked(TypedDict):
    """The suggestions of which what was said last is taken back.

    Of an acceptance that replaced a refusal the refusal holds again: who may ask twice says in
    `said` what is meant.
    """

    items: list[NamedSaid]
    dry_run: NotRequired[bool]


class UnsayTold(VerdictTold):
    """What was said is forgotten: what it wrote is taken back, what it took is written again."""

    unsaid: int
    taken_back: int
    written: int
    markers: int
    left: list[NotDone]


# --- One scene ----------------------------------------------------------------------------------


class Failure(TypedDict):
    """Why something failed, and what to do about it."""

    kind: str
    message: str
    remedy: str


class Words(TypedDict):
    """Text that was read on screen."""

    text: str
    start_s: float
    end_s: float
    score: float


class RanRow(TypedDict):
    """A detector that looked; `seconds` is 0 where the store had the answer."""

    detector: str
    model: str
    device: str
    precision: str
    frames: int
    seconds: float


class SkippedRow(TypedDict):
    """A detector that did not look."""

    detector: str
    reason: str
    remedy: str


class LogLine(TypedDict):
    """A line that a job said."""

    level: Literal["trace", "debug", "info", "warning", "error"]
    message: str


class Remedy(TypedDict):
    """What went wrong, and what to do about it."""

    message: str
    remedy: str


Status = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
"""How far a job is."""


class JobTold(TypedDict):
    """A job of the worker's; `output` is there once it is done."""

    id: str
    mode: str
    scene_ids: list[str]
    """Of the scenes that it was asked for the first hundred."""
    status: Status
    progress: float
    ahead: int
    """Jobs that go before it."""
    lines: list[LogLine]
    """The last that it said, while it is under way."""
    output: dict[str, object] | None
    error: Remedy | None
    queued_at_s: float
    tries: int
    next_at_s: float | None
    begun_at_s: float | None
    ended_at_s: float | None


class SceneAsked(TypedDict):
    """A scene of Stash."""

    scene_id: str


class SceneTold(TypedDict):
    """All that is known of a scene; `looked_at_s` is null where it was never looked at."""

    scene_id: str
    looked_at_s: float | None
    duration_s: float | None
    error: Failure | None
    suggestions: list[SuggestionRow]
    """The refused too; the most certain first."""
    more: int
    """Suggestions beyond what one reply holds."""
    texts: list[Words]
    ran: list[RanRow]
    skipped: list[SkippedRow]
    changed: bool
    """Whether its file is another one than was looked at."""
    job: JobTold | None
    """The job that tags it, where one is under way."""


class PicturesAsked(TypedDict):
    """Frames of a scene at these times, 24 at most; `width_px` (80..640) of those drawn anew."""

    scene_id: str
    times_s: list[float]
    width_px: NotRequired[int]


class Tile(TypedDict):
    """A part of a sprite sheet in pixels; `path` is on Stash's server."""

    path: str
    x: int
    y: int
    width: int
    height: int
    sheet_width: int
    sheet_height: int


class Picture(TypedDict):
    """One frame: a tile of Stash's own sheet, or a `data:` address; neither where there is none."""

    time_s: float
    tile: Tile | None
    data: str | None


class PicturesTold(TypedDict):
    """The frames in the order in which they were asked for; `note` says why some are missing."""

    pictures: list[Picture]
    note: str


# --- Jobs ---------------------------------------------------------------------------------------


class TagSceneAsked(TypedDict):
    """One scene, or several."""

    scene_id: NotRequired[str]
    scene_ids: NotRequired[list[str]]


class Begun(TypedDict):
    """A job that was begun, or that does this very thing already."""

    job_id: str


class JobAsked(TypedDict):
    """A job by its id."""

    job_id: str


class CancelTold(TypedDict):
    """Whether there was something to cancel."""

    cancelled: bool


class JobsAsked(TypedDict):
    """How many of those under way, and of those that have ended."""

    limit: NotRequired[int]


class JobsTold(TypedDict):
    """What runs, what waits in its order, then what has ended, the newest first."""

    jobs: list[JobTold]


# --- The library as a whole ---------------------------------------------------------------------


class PageAsked(TypedDict):
    """A page of a list; `after` is the last page's `next`."""

    after: NotRequired[str]
    limit: NotRequired[int]


class ErrorRow(Failure):
    """A scene whose last look failed."""

    scene_id: str
    source: str
    run_id: str
    failed_at_s: float


class ErrorsTold(TypedDict):
    """A page of them, the newest first."""

    errors: list[ErrorRow]
    next: str | None


class RunRow(TypedDict):
    """A run with what of it is still ours."""

    run_id: str
    kind: str
    status: str
    begun_at_s: float
    tags: int
    markers: int
    studios: int
    created_tags: int
    workflow_moves: int
    taken_back: int
    verdicts: int
    undone: bool


class RunsTold(TypedDict):
    """A page of them, the newest first."""

    runs: list[RunRow]
    next: str | None


class Opened(TypedDict):
    """A network that is open now."""

    role: str
    device: str
    precision: str


class ModelRow(TypedDict):
    """A network of the catalogue."""

    name: str
    task: str
    about: str
    language: str
    licence: str
    page: NotRequired[str]
    """Where its publisher shows it and its licence; empty where that is not known."""
    commercial: bool
    accepted: bool
    megabytes: float | None
    disk_megabytes: float
    here: bool
    lacks: str
    """What keeps it from running here, in words; empty for nothing."""
    lighter: list[str]
    runs: list[Opened]
    suits: str
    made: bool
    """Whether it is exported here, with the extras."""
    untried: bool
    presets: list[str]
    chosen: str
    """What made it run; empty where it does not."""
    own: bool


class ModelsTold(TypedDict):
    """The catalogue, grouped by what they are for, and which preset is in force and why."""

    preset: str
    why: str
    complaints: NotRequired[list[str]]
    """Settings that name no model that can be meant, and what runs in its place."""
    models: list[ModelRow]


class DoctorAsked(TypedDict):
    """Whether to read the store whole."""

    thorough: NotRequired[bool]


class FactRow(TypedDict):
    """One thing that was found."""

    group: str
    what: str
    found: str
    level: Literal["ok", "note", "problem"]
    remedy: str


class DoctorTold(TypedDict):
    """Doctor's report."""

    version: str
    made: str
    well: bool
    problems: int
    notes: int
    report: str
    facts: list[FactRow]


class ScenesCounted(TypedDict):
    """How many scenes; null where Stash was not asked."""

    in_stash: int | None
    looked_at: int
    failed: int
    to_do: int | None
    tagged: int | None
    errored: int | None


class DecisionsCounted(TypedDict):
    """How many suggestions."""

    ask: int
    apply: int
    refused: int


class Covered(TypedDict):
    """How many scenes a network has looked at."""

    detector: str
    model: str
    scenes: int


class PartOfTime(TypedDict):
    """What a part of the work took of the scenes last looked at."""

    what: str
    """A detector, or `reading` for all beside them: fetching, decoding and writing."""
    device: str
    frames: int
    seconds: float


class Speed(TypedDict):
    """How quick the scenes last looked at were; the part with the most seconds limits."""

    scenes: int
    seconds: float
    parts: list[PartOfTime]
    limit: str
    """In words: what limits, and what would help."""


class WorkflowTags(TypedDict):
    """The names of the workflow tags."""

    to_do: str
    tagged: str
    errored: str


class OverviewTold(TypedDict):
    """The state of the library."""

    version: str
    scenes: ScenesCounted
    suggestions: DecisionsCounted
    coverage: list[Covered]
    speed: Speed | None
    workflow: WorkflowTags
    complaints: list[str]
    """Settings that cannot be used."""


class Share(TypedDict):
    """Precision, recall and their harmonic mean; null where nothing speaks for one."""

    precision: float | None
    recall: float | None
    f1: float | None


class TagJudged(TypedDict):
    """How good what is said of one tag is."""

    name: str
    scenes: int
    positives: int
    enough: bool
    written: Share
    shown: Share
    average_precision: float | None


class Bin(TypedDict):
    """Claims of one confidence, and how many of them were right."""

    confidence: float
    right: float
    claims: int


class EvaluationTold(TypedDict):
    """The last evaluation's figures; `made_at_s` is null where there was none."""

    made_at_s: float | None
    scenes: int
    wanted_precision: float | None
    written: Share
    shown: Share
    calibration_error: float | None
    bins: list[Bin]
    tags: list[TagJudged]
    """Those with the most scenes."""
    more: int
    page: str
    """Where the page with all plots lies; empty where there is none."""


PAGES: Mapping[str, tuple[type, type]] = MappingProxyType(
    {
        "suggestions": (SuggestionsAsked, SuggestionsTold),
        "counts": (PageAsked, CountsTold),
        "accept": (VerdictAsked, AcceptTold),
        "refuse": (VerdictAsked, RefuseTold),
        "unsay": (UnsayAsked, UnsayTold),
        "scene": (SceneAsked, SceneTold),
        "pictures": (PicturesAsked, PicturesTold),
        "tag_scene": (TagSceneAsked, Begun),
        "job": (JobAsked, JobTold),
        "jobs": (JobsAsked, JobsTold),
        "cancel_job": (JobAsked, CancelTold),
        "errors": (PageAsked, ErrorsTold),
        "runs": (PageAsked, RunsTold),
        "models": (NothingAsked, ModelsTold),
        "doctor": (DoctorAsked, DoctorTold),
        "overview": (NothingAsked, OverviewTold),
        "evaluation": (NothingAsked, EvaluationTold),
    }
)
"""What the pages call: by mode what is asked and told."""
