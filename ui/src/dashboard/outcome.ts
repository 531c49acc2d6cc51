/** What came of a job, in a sentence: from its output, whatever that holds. */
import type { Job } from "./polling";
import { capital, counted, sentence } from "./words";

type Output = Record<string, unknown>;

/** Of what a list names, so many are told; the rest is counted. */
const MOST = 3;

export function outcome(job: Job): string {
  if (job.error) return failure(job.error);
  const output = job.output;
  if (output === null || job.status !== "done") return "";
  const told = SAID[job.mode]?.(output) ?? "";
  return sentence(capital(output.dry_run === true && told ? `only tried: ${told}` : told));
}

export function failure(error: { message: string; remedy: string }): string {
  const told = sentence(error.message);
  return error.remedy ? `${told} ${sentence(capital(error.remedy))}` : told;
}

const SAID: Record<string, (output: Output) => string> = {
  tag_scene: tagged,
  tag_scenes: tagged,
  decide: decided,
  undo: undone,
  pull_models: (output) => models(output, "made ready"),
  download_models: downloaded,
  set_up: downloaded,
  remove_models: (output) => models(output, "removed"),
  evaluate: evaluated,
};

function tagged(output: Output): string {
  const failed = count(output, "failed");
  const parts = [
    counted(count(output, "tagged"), "scene tagged", "scenes tagged"),
    failed > 0 ? `${failed} failed` : "",
    count(output, "left") > 0 ? `${count(output, "left")} left as they were` : "",
    written(output),
    waiting(count(output, "asks")),
  ];
  const errors = Array.isArray(output.errors) ? (output.errors as Output[]) : [];
  const why = errors.slice(0, failed === 1 ? 1 : 0).map((each) => String(each.message));
  const without = isRecord(output.without) ? Object.keys(output.without) : [];
  const lack = without.length > 0 ? `without ${listed(without)}` : "";
  return [...parts, ...why, lack].filter(Boolean).join("; ");
}

function waiting(asks: number): string {
  if (asks === 0) return "";
  return `${counted(asks, "suggestion")} ${asks === 1 ? "waits" : "wait"} for you`;
}

function decided(output: Output): string {
  const changed = count(output, "changed");
  const parts = [
    changed === 0
      ? `nothing changed in ${counted(count(output, "scenes"), "scene")}`
      : `${counted(changed, "scene")} changed`,
    written(output),
    kinds(output.withdrawn, "taken back"),
  ];
  return parts.filter(Boolean).join("; ");
}

function undone(output: Output): string {
  const moved = count(output, "workflow_put_back");
  const failed = count(output, "failed");
  const parts = [
    kinds(output.taken_back, "taken back") || "nothing taken back",
    kinds(output.put_again, "written again"),
    moved > 0 ? `workflow tags of ${counted(moved, "scene")} put back` : "",
    ...left(output.left),
    failed > 0 ? `${failed} could not be undone` : "",
  ];
  return parts.filter(Boolean).join("; ");
}

function downloaded(output: Output): string {
  const models = isRecord(output.models) ? Object.entries(output.models) : [];
  const lacking = models.filter(([, why]) => why !== null).map(([name]) => name);
  if (lacking.length > 0) return `did not come: ${listed(lacking)}`;
  return models.length > 0 ? "all models that the settings want are here" : "";
}

function models(output: Output, what: string): string {
  const rows = Array.isArray(output.models) ? (output.models as Output[]) : [];
  const names = rows.map((row) => String(row.name));
  return names.length > 0 ? `${what}: ${listed(names)}` : "";
}

function evaluated(output: Output): string {
  const scenes = isRecord(output.report) ? count(output.report, "scenes") : 0;
  return scenes > 0 ? `${counted(scenes, "scene")} judged` : "there was nothing to judge by";
}

function written(output: Output): string {
  return kinds(output.written, "written");
}

/** `12 tags and 3 markers written`, from counts by what they are of in the plural. */
function kinds(value: unknown, what: string): string {
  if (!isRecord(value)) return "";
  const parts = Object.entries(value).flatMap(([kind, many]) =>
    typeof many === "number" && many > 0
      ? [counted(many, kind.replace(/_/g, " ").replace(/s$/, ""))]
      : [],
  );
  return parts.length > 0 ? `${listed(parts)} ${what}` : "";
}

export function listed(names: readonly string[]): string {
  const some = names.slice(0, MOST + 1);
  if (names.length > MOST + 1) {
    return `${names.slice(0, MOST).join(", ")} and ${names.length - MOST} more`;
  }
  const last = some.pop();
  return some.length > 0 ? `${some.join(", ")} and ${last}` : (last ?? "");
}

function count(output: Output, name: string): number {
  const value = output[name];
  return typeof value === "number" ? value : 0;
}

/** What an undo left as it is, by why: `2 left because they are used elsewhere`. */
function left(value: unknown): string[] {
  if (!isRecord(value)) return [];
  return Object.entries(value)
    .slice(0, MOST)
    .map(([why, many]) => `${many} left because ${why}`);
}

function isRecord(value: unknown): value is Output {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
