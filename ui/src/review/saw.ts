/** Which model said so, in words. */
import { many } from "../parts/words";
import type { Shapes } from "../stash/calls";

type Proof = Shapes["Proof"];

/** A network's name without its version. */
export function modelName(model: string): string {
  return model.split("@")[0] || model;
}

/** `clip-b32 saw it in 5 frames`, and what is said of it at length. */
export function saw(evidence: readonly Proof[]): { text: string; title: string } {
  const models = [...new Set(evidence.map((each) => each.model || each.detector))];
  const [first, ...others] = models;
  if (first === undefined) return { text: "", title: "" };
  const read = evidence.find((each) => each.text)?.text;
  const frames = many(new Set(evidence.map((each) => each.time_s)).size, "frame");
  const who =
    others.length > 0
      ? `${modelName(first)} and ${many(others.length, "other")}`
      : modelName(first);
  const text = read ? `${who} read “${read}” in ${frames}` : `${who} saw it in ${frames}`;
  return { text, title: models.join(", ") };
}
