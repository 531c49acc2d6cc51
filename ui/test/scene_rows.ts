/** Suggestions as the worker tells them, for tests. */
import type { Shapes } from "../src/stash/calls";

export type Row = Shapes["SuggestionRow"];

export function proof(time_s: number, more: Partial<Shapes["Proof"]> = {}): Shapes["Proof"] {
  return {
    time_s,
    score: 0.9,
    detector: "clip",
    model: "clip-vit-b32@1",
    box: null,
    text: null,
    ...more,
  };
}

export function row(name: string, more: Partial<Row> = {}): Row {
  return {
    scene_id: "7",
    title: "A day out",
    source: "/media/a-day-out.mp4",
    kind: "tag",
    name,
    label: name.toLowerCase(),
    target_id: null,
    confidence: 0.87,
    decision: "ASK",
    said: null,
    in_stash: "absent",
    ranges: [{ start_s: 5, end_s: 20, score: 0.9 }],
    evidence: [proof(8)],
    ...more,
  };
}

export function scene(
  suggestions: Row[],
  more: Partial<Shapes["SceneTold"]> = {},
): Shapes["SceneTold"] {
  return {
    scene_id: "7",
    looked_at_s: 1_700_000_000,
    duration_s: 100,
    error: null,
    suggestions,
    more: 0,
    texts: [],
    ran: [],
    skipped: [],
    changed: false,
    job: null,
    ...more,
  };
}

export function job(more: Partial<Shapes["JobTold"]> = {}): Shapes["JobTold"] {
  return {
    id: "j1",
    mode: "tag_scene",
    scene_ids: ["7"],
    status: "running",
    progress: 0.4,
    ahead: 0,
    lines: [],
    output: null,
    error: null,
    queued_at_s: 1,
    tries: 1,
    next_at_s: null,
    begun_at_s: 2,
    ended_at_s: null,
    ...more,
  };
}
