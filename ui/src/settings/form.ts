/** The settings as the form shows them; made from the plugin's own by tools/settings_form.py. */
import made from "./form.json";

export type Value = boolean | number | string;
export type Stored = Readonly<Record<string, unknown>>;

export interface Row {
  key: string;
  name: string;
  says: string;
  kind: "switch" | "number" | "choice" | "list" | "tag" | "model" | "text";
  default: Value;
  /** What holds where nothing is set, in words; empty where `default` says it. */
  default_says: string;
  /** A switch that is on where what is stored is off. */
  turned?: boolean;
  least?: number;
  most?: number;
  unit?: string;
  choices?: { word: string; says: string }[];
  /** What a model named here may be for. */
  tasks?: string[];
  may_be_none?: boolean;
}

export interface Group {
  key: string;
  name: string;
  says: string;
  advanced: boolean;
  rows: Row[];
}

interface Form {
  version: string;
  longest_tag: number;
  longest_text: number;
  shown: number;
  no_model: string;
  groups: Group[];
}

export const FORM = made as Form;
export const ROWS: readonly Row[] = FORM.groups.flatMap((group) => group.rows);
export const TAG_ROWS: readonly Row[] = ROWS.filter((row) => row.kind === "tag");

/** Say what holds where nothing is set. */
export function defaultWords(row: Row): string {
  if (row.kind === "switch") return switchedOn(row, row.default) ? "on" : "off";
  if (row.kind === "number" && row.default !== 0) return `${row.default} ${row.unit}`;
  return row.default_says || String(row.default) || "none";
}

/** Whether a switch is on for people, by what is stored. */
export function switchedOn(row: Row, stored: Value): boolean {
  return Boolean(stored) !== Boolean(row.turned);
}
