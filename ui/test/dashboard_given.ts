/** What the worker tells the dashboard in these tests: whole replies, each with a part replaced. */
import type { Modes, Shapes } from "../src/stash/calls";

const NOW_S = 1_790_000_000;

export function job(changed: Partial<Shapes["JobTold"]> & { id: string }): Shapes["JobTold"] {
  return {
    mode: "tag_scene",
    scene_ids: [],
    status: "done",
    progress: 0,
    ahead: 0,
    lines: [],
    output: null,
    error: null,
    queued_at_s: NOW_S,
    tries: 0,
    next_at_s: null,
    begun_at_s: null,
    ended_at_s: null,
    ...changed,
  };
}

export function overview(
  changed: Partial<Modes["overview"]["told"]> = {},
): Modes["overview"]["told"] {
  return {
    version: "0.5.0",
    scenes: { in_stash: 50000, looked_at: 12345, failed: 3, to_do: 7, tagged: 12000, errored: 3 },
    suggestions: { ask: 1234, apply: 20000, refused: 5 },
    coverage: [{ detector: "clip", model: "clip-vit-b32@b0921d05", scenes: 12345 }],
    speed: {
      scenes: 100,
      seconds: 200,
      parts: [
        { what: "reading", device: "cpu", frames: 0, seconds: 40 },
        { what: "text", device: "cpu", frames: 1200, seconds: 160 },
      ],
      limit: "Reading text takes the most: fewer frames for text would help",
    },
    workflow: { to_do: "TagMe", tagged: "Tagged", errored: "Errored" },
    complaints: [],
    ...changed,
  };
}

export const NO_SCENES: Modes["overview"]["told"] = overview({
  scenes: { in_stash: 0, looked_at: 0, failed: 0, to_do: 0, tagged: 0, errored: 0 },
  suggestions: { ask: 0, apply: 0, refused: 0 },
  coverage: [],
  speed: null,
});

export function failed(scene_id: string, changed: Partial<Shapes["ErrorRow"]> = {}) {
  return {
    scene_id,
    source: `/media/scene ${scene_id}.mp4`,
    run_id: "run",
    failed_at_s: NOW_S,
    kind: "media",
    message: "The file holds no picture",
    remedy: "copy it anew",
    ...changed,
  };
}

export function model(changed: Partial<Shapes["ModelRow"]> & { name: string }): Shapes["ModelRow"] {
  return {
    task: "clip",
    about: "Scenes by words",
    language: "",
    licence: "MIT",
    page: "",
    commercial: true,
    accepted: true,
    megabytes: 350,
    disk_megabytes: 0,
    here: false,
    lacks: "",
    lighter: [],
    runs: [],
    suits: "any",
    made: false,
    untried: false,
    presets: [],
    chosen: "",
    own: false,
    ...changed,
  };
}

export function run(changed: Partial<Shapes["RunRow"]> & { run_id: string }): Shapes["RunRow"] {
  return {
    kind: "tag_scenes",
    status: "done",
    begun_at_s: NOW_S,
    tags: 0,
    markers: 0,
    studios: 0,
    created_tags: 0,
    workflow_moves: 0,
    taken_back: 0,
    verdicts: 0,
    undone: false,
    ...changed,
  };
}

export const NOT_EVALUATED: Modes["evaluation"]["told"] = {
  made_at_s: null,
  scenes: 0,
  wanted_precision: null,
  written: { precision: null, recall: null, f1: null },
  shown: { precision: null, recall: null, f1: null },
  calibration_error: null,
  bins: [],
  tags: [],
  more: 0,
  page: "",
};

export const EVALUATED: Modes["evaluation"]["told"] = {
  ...NOT_EVALUATED,
  made_at_s: NOW_S,
  scenes: 240,
  written: { precision: 0.91, recall: 0.62, f1: 0.74 },
  shown: { precision: 0.7, recall: 0.85, f1: 0.77 },
  calibration_error: 0.04,
  bins: [
    { confidence: 0.3, right: 0.25, claims: 40 },
    { confidence: 0.9, right: 0.88, claims: 160 },
  ],
  tags: [
    {
      name: "<b>Beach</b>",
      scenes: 240,
      positives: 31,
      enough: true,
      written: { precision: 0.95, recall: 0.5, f1: 0.66 },
      shown: { precision: 0.8, recall: 0.9, f1: 0.85 },
      average_precision: 0.88,
    },
  ],
};

export const DOCTOR: Modes["doctor"]["told"] = {
  version: "0.5.0",
  made: "2026-09-21T12:00:00+0000",
  well: false,
  problems: 1,
  notes: 1,
  report: "",
  facts: [
    { group: "Machine", what: "Memory", found: "16 GB", level: "ok", remedy: "" },
    { group: "Library", what: "Sprites", found: "1 of 5 there", level: "note", remedy: "generate" },
    {
      group: "Library",
      what: "Library folder",
      found: "/media is not visible here",
      level: "problem",
      remedy: "mount it at the same path",
    },
  ],
};

export const QUIET = {
  jobs: () => ({ jobs: [] }),
  overview: () => overview(),
  errors: () => ({ errors: [], next: null }),
  models: () => ({ preset: "fast", why: "auto chose fast: 2 processor cores", models: [] }),
  runs: () => ({ runs: [], next: null }),
  evaluation: () => NOT_EVALUATED,
  doctor: () => DOCTOR,
};
