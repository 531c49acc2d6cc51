/**
 * Which values the plugin uses, and why it refuses others: the same rules in the same words as its
 * own settings.py; a table that it made holds them together.
 */
import { FORM, type Row, type Stored, TAG_ROWS, type Value } from "./form";

export type Checked = { used: Value; refused?: undefined } | { refused: string; used?: undefined };

const BLANK =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const ENDS = new RegExp(`^[${BLANK}]+|[${BLANK}]+$`, "gu");
const GAPS = new RegExp(`[${BLANK}]+`, "gu");
const UNSHOWABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u;
const UNPRINTABLE = /[\p{C}\p{Z}]/u;
const WHOLE_NUMBER = new RegExp(`^[${BLANK}]*(-?[0-9]{1,18})?[${BLANK}]*$`, "u");

/** Return the value to use; absent, empty and 0 mean the default. */
export function check(row: Row, value: unknown): Checked {
  if (value === undefined || value === null) return { used: row.default };
  if (row.kind === "switch") {
    return typeof value === "boolean"
      ? { used: value }
      : { refused: `${shown(value)} is neither true nor false` };
  }
  return row.kind === "number" ? checkNumber(row, value) : checkText(row, value);
}

function checkNumber(row: Row, value: unknown): Checked {
  const typed = typeof value === "string" ? WHOLE_NUMBER.exec(value) : null;
  const number = typed ? Number(typed[1] ?? 0) : value;
  if (typeof number !== "number" || !Number.isInteger(number)) {
    return { refused: `${shown(value)} is not a whole number` };
  }
  const { least = 0, most = 0 } = row;
  if (number !== 0 && (number < least || number > most)) {
    // Digits that no number here holds are said as they were typed.
    const said = typed ? BigInt(typed[1] ?? 0) : number;
    return { refused: `${shown(said)} is not between ${least} and ${most}` };
  }
  return { used: number || row.default };
}

function checkText(row: Row, value: unknown): Checked {
  if (typeof value !== "string") return { refused: `${shown(value)} is not text` };
  // A list may have been pasted with its line ends.
  const text = stripped(row.kind === "list" ? value.replace(GAPS, " ") : value);
  const longest = row.kind === "tag" ? FORM.longest_tag : FORM.longest_text;
  if ([...text].length > longest) {
    return { refused: `${shown(text)} is longer than ${longest} characters` };
  }
  if (UNSHOWABLE.test(text)) {
    return { refused: `${shown(text)} holds characters that cannot be shown` };
  }
  if (text && row.choices) return checkChoice(row, text);
  if (row.may_be_none && text.toLowerCase() === FORM.no_model) return { used: FORM.no_model };
  return { used: stripped(value) || row.default };
}

function checkChoice(row: Row, text: string): Checked {
  const words = (row.choices ?? []).map((each) => each.word);
  const found = words.find((each) => each === text.toLowerCase());
  if (found !== undefined) return { used: found };
  const last = words[words.length - 1];
  return { refused: `${shown(text)} is none of ${words.slice(0, -1).join(", ")} and ${last}` };
}

/** Say why the tags of the settings cannot be used together; undefined where they can. */
export function checkTags(stored: Stored): string | undefined {
  const names = TAG_ROWS.map((row) => String(check(row, stored[row.key]).used ?? row.default));
  if (new Set(names.map(folded)).size === names.length) return undefined;
  return `The workflow tags and the parent of new tags (${names.map(shown).join(", ")}) must differ from each other`;
}

/** Letters that differ in case alone are one, as the plugin compares them. */
function folded(text: string): string {
  return text.toUpperCase().toLowerCase();
}

export function stripped(text: string): string {
  return text.replace(ENDS, "");
}

/** Return the names of a list. */
export function listed(text: string): string[] {
  return text
    .split(/[,\r\n]/)
    .map(stripped)
    .filter((name) => name !== "");
}

/** Return a value for a sentence, as the plugin writes it there. */
export function shown(value: unknown): string {
  const told = written(value);
  const letters = [...told];
  return letters.length <= FORM.shown ? told : `${letters.slice(0, FORM.shown - 1).join("")}…`;
}

function written(value: unknown, isInside = false): string {
  if (typeof value === "string") return quoted(value, isInside);
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((each) => written(each, true)).join(", ")}]`;
  if (typeof value === "object") {
    const parts = Object.entries(value).map(
      ([key, each]) => `${written(key, true)}: ${written(each, true)}`,
    );
    return `{${parts.join(", ")}}`;
  }
  return String(value);
}

const NAMED: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function quoted(text: string, isInside: boolean): string {
  const letters = [...text];
  const isPlain = letters.every(isPrintable);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = letters.map((letter) => {
    if (letter === quote) return `\\${letter}`;
    if (NAMED[letter] !== undefined) return NAMED[letter];
    // A whole value that no line can hold is spelt out, as is each such letter inside another.
    const isSpelt = isPlain ? false : isInside ? !isPrintable(letter) : letter > "~";
    return isSpelt || letter < " " ? spelt(letter) : letter;
  });
  return `${quote}${inner.join("")}${quote}`;
}

function isPrintable(letter: string): boolean {
  return letter === " " || !UNPRINTABLE.test(letter);
}

function spelt(letter: string): string {
  const code = letter.codePointAt(0) ?? 0;
  const hex = (digits: number) => code.toString(16).padStart(digits, "0");
  if (code <= 0xff) return `\\x${hex(2)}`;
  return code <= 0xffff ? `\\u${hex(4)}` : `\\U${hex(8)}`;
}
