/** Numbers, times and the names of our jobs, as people read them. */
import { capital } from "../parts/words";
import type { Shapes } from "../stash/calls";

export { capital };

const NUMBERS = new Intl.NumberFormat("en");
const DATES = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export function number(count: number): string {
  return NUMBERS.format(count);
}

/** `3 scenes`, `1 scene`; `plural` where it is not the word with an s. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${number(count)} ${count === 1 ? noun : plural}`;
}

/** A share of 0..1; what is not none and not all is never shown as 0% or 100%. */
export function percent(share: number): string {
  const whole = Math.round(share * 100);
  if (whole === 0 && share > 0) return "under 1%";
  if (whole === 100 && share < 1) return "over 99%";
  return `${whole}%`;
}

/** `12 of 50 scenes (24%)`. */
export function ofAll(count: number, all: number, noun: string): string {
  const told = `${number(count)} of ${counted(all, noun)}`;
  return all > 0 ? `${told} (${percent(Math.min(1, count / all))})` : told;
}

export function megabytes(count: number): string {
  if (count >= 1000) return `${(count / 1000).toFixed(1)} GB`;
  return count > 0 && count < 1 ? "under 1 MB" : `${Math.round(count)} MB`;
}

/** `0.4 s`, `12 s`, `3 min`, `2 h 5 min`, `4 days`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1).replace(/\.0$/, "")} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return counted(Math.round(hours / 24), "day");
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

export function date(sinceEpochS: number): string {
  return DATES.format(sinceEpochS * 1000);
}

export function clock(sinceEpochS: number): string {
  return CLOCK.format(sinceEpochS * 1000);
}

/** A sentence ends with a stop, however it came. */
export function sentence(text: string): string {
  const told = text.trim();
  return told === "" || /[.!?]$/.test(told) ? told : `${told}.`;
}

/** The name of a file without the folders that it lies in. */
export function fileName(path: string): string {
  return path.split(/[\\/]/).pop() || path;
}

/** What one says of a job of the worker, by its mode. */
const JOBS: Record<string, string> = {
  tag_scene: "Tag a scene",
  tag_scenes: "Tag scenes",
  tag_file: "Tag a file",
  decide: "Decide again",
  undo: "Undo",
  evaluate: "Evaluate",
  set_up: "Set up",
  set_up_extras: "Set up extras",
  download_models: "Download models",
  pull_models: "Download a model",
  remove_models: "Remove a model",
  store_vacuum: "Tidy the store",
  store_export: "Export the store",
  store_import: "Import into the store",
};

/** The tasks on Stash's own page, by the names that they have there. */
const TASKS: Record<string, string> = {
  "Tag all scenes not yet Tagged": "tag_scenes",
  "Tag the whole library": "tag_scenes",
  "Try all again": "tag_scenes",
  "Decide again (preview)": "decide",
  "Undo last run": "undo",
  "Use what Evaluate suggests": "evaluate",
  Models: "models",
  Doctor: "doctor",
  "Answer: I restored a backup": "tag_scenes",
  "Answer: I removed them myself": "tag_scenes",
};

/** A run in the ledger is called after the mode that made it; some are made by an answer. */
const RUNS: Record<string, string> = {
  accept: "Accepted by you",
  refuse: "Refused by you",
  unsay: "Unsaid by you",
  undo: "Undone by you",
};

export function modeName(mode: string): string {
  return JOBS[mode] ?? capital(mode.replace(/_/g, " "));
}

export function runName(kind: string): string {
  return kind === "" ? "An older run" : (RUNS[kind] ?? modeName(kind));
}

export function jobName(job: Shapes["JobTold"]): string {
  const scenes = job.scene_ids?.length ?? 0;
  if (job.mode === "tag_scene" && scenes === 1) return `Tag scene ${job.scene_ids[0]}`;
  if (scenes > 1) return `Tag ${scenes >= 100 ? "100 scenes or more" : `${scenes} scenes`}`;
  return modeName(job.mode);
}

const BEFORE = "Running plugin task: ";
export const OURS = "Stash Sense: ";

/** What a task in Stash's queue is called, where it is one of ours. */
export function ourTask(description: string): string | undefined {
  const task = description.startsWith(BEFORE) ? description.slice(BEFORE.length) : description;
  if (task.startsWith(OURS)) return task.slice(OURS.length);
  return task in TASKS || Object.values(JOBS).includes(task) ? task : undefined;
}

/** The mode that a task runs, as far as its name tells it. */
export function modeOfTask(task: string): string | undefined {
  const named = Object.entries(JOBS).find(([, name]) => name === task);
  const of = Object.entries(OF).find(([, begins]) => task.startsWith(begins));
  return TASKS[task] ?? named?.[0] ?? of?.[0];
}

/** Tasks of ours that are called after what they are done to: how their names begin. */
const OF: Record<string, string> = {
  pull_models: "Download ",
  remove_models: "Remove ",
  undo: "Undo ",
};
