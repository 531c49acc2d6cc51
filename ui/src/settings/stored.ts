/** What Stash stores for us, by the settings that it means. */
import { check, checkTags, shown } from "./check";
import { ROWS, type Row, type Stored, TAG_ROWS, type Value } from "./form";

export interface State {
  /** What the plugin uses. */
  used: Value;
  /** Whether the user chose something else than what holds by itself. */
  isChanged: boolean;
  /** What is stored and cannot be used, and why. */
  unusable?: { value: unknown; why: string };
}

export interface Reading {
  states: Readonly<Record<string, State>>;
  /** By setting, the key that it is stored under. */
  keys: Readonly<Record<string, string>>;
  /** Keys that are none of ours: of another version, or typed into Stash's file. */
  ignored: readonly string[];
  /** Why the tags cannot be used together. */
  tags: string | undefined;
}

export function read(stored: Stored): Reading {
  const { keys, ignored } = byName(stored);
  const ours: Stored = Object.fromEntries(
    Object.entries(keys).map(([name, key]) => [name, stored[key]]),
  );
  const states = Object.fromEntries(ROWS.map((row) => [row.key, stateOf(row, ours[row.key])]));
  const tags = checkTags(ours);
  return { states, keys, ignored, tags };
}

function stateOf(row: Row, value: unknown): State {
  const { used, refused } = check(row, value);
  if (refused !== undefined) {
    return { used: row.default, isChanged: true, unusable: { value, why: refused } };
  }
  return { used, isChanged: used !== row.default };
}

/** A key in other letters, as people write them into Stash's file, counts where ours is absent. */
function byName(stored: Stored) {
  const names = new Set(ROWS.map((row) => row.key));
  const keys: Record<string, string> = {};
  const ignored: string[] = [];
  for (const key of Object.keys(stored)) if (names.has(key)) keys[key] = key;
  for (const key of Object.keys(stored)) {
    const name = key.toLowerCase();
    if (names.has(key)) continue;
    if (names.has(name) && keys[name] === undefined) keys[name] = key;
    else ignored.push(key);
  }
  return { keys, ignored };
}

/** Return what to write so that a setting is `value`; undefined takes its key away. */
export function change(
  reading: Reading,
  row: Row,
  value: Value | undefined,
): Record<string, unknown> {
  const isDefault = value === undefined || value === "" || (row.kind === "number" && value === 0);
  const changed: Record<string, unknown> = { [row.key]: isDefault ? undefined : value };
  const key = reading.keys[row.key];
  if (key !== undefined && key !== row.key) changed[key] = undefined;
  return changed;
}

/** Say why a value may not be stored; undefined where it may. */
export function refusal(stored: Stored, row: Row, value: Value | undefined): string | undefined {
  const { refused } = check(row, value);
  if (refused !== undefined || !TAG_ROWS.includes(row)) return refused;
  const { keys } = byName(stored);
  const tags = TAG_ROWS.map((each) => [each.key, stored[keys[each.key] ?? each.key]]);
  return checkTags({ ...Object.fromEntries(tags), [row.key]: value });
}

/** Say what is stored there and cannot be used, and what holds instead. */
export function complaint(row: Row, why: string): string {
  return `Stored: ${why}; ${shown(row.default)} is used.`;
}
