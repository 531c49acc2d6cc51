/** What the user says of a scene's suggestions: shown at once, and taken back where it fails. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { capital, many, nameOf } from "../parts/words";
import type { SenseError, Shapes } from "../stash/calls";
import { accept, refuse, type SuggestionRow, unsay, wasNotSaid } from "../stash/verdicts";

export type Said = "accepted" | "refused";

export interface Note {
  message: string;
  remedy: string;
  failed: boolean;
}

/** A suggestion as it stands, with what is under way. */
export interface Shown extends SuggestionRow {
  key: string;
  underWay: boolean;
  note: Note | undefined;
}

/** How a suggestion stands while Stash is being told of it, and until it is read again. */
interface Word {
  deed: number;
  said: Said | null;
  in_stash: SuggestionRow["in_stash"];
  underWay: boolean;
}

/** Something that can be undone. */
export interface Deed {
  id: number;
  said: Said;
  rows: readonly SuggestionRow[];
}

/** Something that is on its way to Stash, and of which suggestions it failed. */
interface Saying {
  failed: ReadonlySet<string>;
}

type Told = { failed: number; failures: Shapes["NotDone"][]; left?: Shapes["NotDone"][] };

export interface VerdictBook {
  rows: readonly Shown[];
  /** What happened last, in a sentence. */
  message: string;
  /** What `undo` would undo. */
  last: Deed | undefined;
  say(rows: readonly SuggestionRow[], said: Said): void;
  /** Undo what was said last on this page. */
  undo(): void;
  /** Take back what was said of one suggestion, whenever that was. */
  takeBack(row: SuggestionRow): void;
}

export function keyOf(row: SuggestionRow): string {
  // Markers stay the same ones when their tag is made, and has an id from then on.
  const id = row.kind === "marker" ? null : row.target_id;
  return `${row.kind}\n${id ?? ""}\n${row.name}`;
}

export function isOnScene(row: SuggestionRow): boolean {
  return row.in_stash === "there" || row.in_stash === "ours";
}

/** Whether the user has still to say something of it; markers go with what is said of their tag. */
export function waits(row: SuggestionRow): boolean {
  return row.kind !== "marker" && row.said === null && !isOnScene(row);
}

export function mayAccept(row: SuggestionRow): boolean {
  return row.said !== "accepted" && !isOnScene(row);
}

export function mayRefuse(row: SuggestionRow): boolean {
  return row.said !== "refused" && row.in_stash !== "there";
}

export function useVerdictBook(rows: readonly SuggestionRow[], reload: () => void): VerdictBook {
  const [words, setWords] = useState<ReadonlyMap<string, Word>>(new Map());
  const [notes, setNotes] = useState<ReadonlyMap<string, Note>>(new Map());
  const [deeds, setDeeds] = useState<readonly Deed[]>([]);
  const [message, setMessage] = useState("");
  const line = useRef<Promise<void>>(Promise.resolve());
  const open = useRef(0);
  const count = useRef(0);
  /** By suggestion what is being said of it. */
  const saying = useRef(new Map<string, Saying>());
  const gone = useRef(false);
  useEffect(
    () => () => {
      gone.current = true;
    },
    [],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: what was read anew is the truth
  useEffect(() => {
    if (open.current === 0) setWords(new Map());
  }, [rows]);

  /** One after another, so that what is undone was done before. */
  const inTurn = useCallback(
    (
      spoken: readonly SuggestionRow[],
      becomes: (row: SuggestionRow) => Pick<Word, "said" | "in_stash">,
      call: () => Promise<Told>,
      ended: (failed: ReadonlyMap<string, Note>) => void,
    ) => {
      const deed = ++count.current;
      let before: ReadonlyMap<string, Word> = new Map();
      setWords((now) => {
        before = now;
        const next = new Map(now);
        for (const row of spoken) {
          next.set(keyOf(row), { deed, ...becomes(row), underWay: true });
        }
        return next;
      });
      setNotes((now) => without(now, spoken));
      open.current += 1;
      line.current = line.current.then(async () => {
        const [failed, left] = await outcome(spoken, call);
        open.current -= 1;
        if (gone.current) return;
        setWords((now) => settled(now, before, spoken, failed, deed));
        setNotes((now) => new Map([...now, ...left, ...failed]));
        ended(failed);
        if (open.current === 0) reload();
      });
    },
    [reload],
  );

  const say = useCallback(
    (spoken: readonly SuggestionRow[], said: Said) => {
      if (spoken.length === 0) return;
      const id = ++count.current;
      const mine: Saying = { failed: new Set() };
      for (const row of spoken) saying.current.set(keyOf(row), mine);
      setDeeds((now) => [...now, { id, said, rows: spoken }]);
      inTurn(
        spoken,
        (row) => ({ said, in_stash: afterwards(row, said) }),
        () => (said === "accepted" ? accept(spoken) : refuse(spoken)),
        (failed) => {
          mine.failed = new Set(failed.keys());
          for (const key of spoken.map(keyOf)) {
            if (saying.current.get(key) === mine) saying.current.delete(key);
          }
          setDeeds((now) => withoutRows(now, id, failed));
          setMessage(sentence(said === "accepted" ? "Accepted" : "Refused", spoken, failed));
        },
      );
    },
    [inTurn],
  );

  const forget = useCallback(
    (rows: readonly SuggestionRow[], deed: Deed | undefined) => {
      const spoken = deed ? rows.map((row) => ({ ...row, said: deed.said })) : rows;
      // What is on its way now may fail before this has its turn: then there is nothing to undo.
      const before = new Map(saying.current);
      const never = (row: SuggestionRow) => before.get(keyOf(row))?.failed.has(keyOf(row)) ?? false;
      inTurn(
        spoken,
        (row) => ({ said: null, in_stash: unsaidAs(row) }),
        () => unsay(spoken.filter((row) => !never(row))),
        (failed) => {
          const still = spoken.filter((row) => {
            const why = failed.get(keyOf(row));
            return why && !wasNotSaid(row, why) && !never(row);
          });
          if (deed && still.length > 0) {
            setDeeds((now) => [...now, { ...deed, rows: still }]);
          }
          setWords((now) => without(now, spoken.filter(never)));
          const sent = spoken.filter((row) => !never(row));
          if (sent.length > 0) setMessage(sentence("Undone:", sent, failed));
        },
      );
    },
    [inTurn],
  );

  const shown = useMemo(
    () =>
      rows.map((row) => {
        const key = keyOf(row);
        const word = words.get(key);
        return {
          ...row,
          key,
          said: word ? word.said : row.said,
          in_stash: word ? word.in_stash : row.in_stash,
          underWay: word?.underWay ?? false,
          note: notes.get(key),
        };
      }),
    [rows, words, notes],
  );

  const last = deeds[deeds.length - 1];
  const undo = useCallback(() => {
    if (last === undefined) {
      setMessage("Nothing to undo");
      return;
    }
    setDeeds((now) => now.filter((each) => each.id !== last.id));
    forget(last.rows, last);
  }, [last, forget]);

  const takeBack = useCallback(
    (row: SuggestionRow) => {
      setDeeds((now) => now.map((each) => withoutRow(each, row)).filter(notEmpty));
      const before = [...deeds]
        .reverse()
        .filter(({ said }) => said === row.said)
        .flatMap(({ rows }) => rows)
        .find((each) => keyOf(each) === keyOf(row));
      forget([before ? { ...row, in_stash: before.in_stash } : row], undefined);
    },
    [deeds, forget],
  );

  return { rows: shown, message, last, say, undo, takeBack };
}

/** What could not be done, and what stays as it is, by suggestion. */
async function outcome(
  spoken: readonly SuggestionRow[],
  call: () => Promise<Told>,
): Promise<[Map<string, Note>, Map<string, Note>]> {
  try {
    const told = await call();
    const failed = byRow(spoken, told.failures, true);
    return [failed, byRow(spoken, told.left ?? [], false)];
  } catch (why) {
    const note = { message: (why as SenseError).message, remedy: "", failed: true };
    return [new Map(spoken.map((row) => [keyOf(row), note])), new Map()];
  }
}

function byRow(
  spoken: readonly SuggestionRow[],
  told: readonly Shapes["NotDone"][],
  failed: boolean,
): Map<string, Note> {
  const found = new Map<string, Note>();
  for (const row of spoken) {
    const why = told.find((each) => speaksOf(each, row));
    if (why) found.set(keyOf(row), { message: why.message, remedy: why.remedy, failed });
  }
  return found;
}

function speaksOf(told: Shapes["NotDone"], row: SuggestionRow): boolean {
  const same = told.kind === row.kind && told.name === row.name;
  return same && (!told.target_id || !row.target_id || told.target_id === row.target_id);
}

/** What came of a call: what failed is as it was, unless something else was said since. */
function settled(
  now: ReadonlyMap<string, Word>,
  before: ReadonlyMap<string, Word>,
  spoken: readonly SuggestionRow[],
  failed: ReadonlyMap<string, Note>,
  deed: number,
): ReadonlyMap<string, Word> {
  const next = new Map(now);
  for (const key of spoken.map(keyOf)) {
    const word = next.get(key);
    if (word?.deed !== deed) continue;
    const was = before.get(key);
    if (!failed.has(key)) next.set(key, { ...word, underWay: false });
    else if (was) next.set(key, { ...was, underWay: false });
    else next.delete(key);
  }
  return next;
}

/** What a word makes of what the scene has, until Stash is read again. */
function afterwards(row: SuggestionRow, said: Said): SuggestionRow["in_stash"] {
  if (said === "accepted") return row.in_stash === "there" ? "there" : "ours";
  return row.in_stash === "ours" ? "absent" : row.in_stash;
}

/** What the scene has again where a word is taken back, of a row as it was before that word. */
function unsaidAs({ said, in_stash }: SuggestionRow): SuggestionRow["in_stash"] {
  // What we wrote and a refusal took away is written again.
  return said !== "refused" && in_stash === "ours" ? "absent" : in_stash;
}

function without<T>(
  now: ReadonlyMap<string, T>,
  rows: readonly SuggestionRow[],
): ReadonlyMap<string, T> {
  const next = new Map(now);
  for (const row of rows) next.delete(keyOf(row));
  return next;
}

function withoutRow(deed: Deed, row: SuggestionRow): Deed {
  return { ...deed, rows: deed.rows.filter((each) => keyOf(each) !== keyOf(row)) };
}

function withoutRows(
  deeds: readonly Deed[],
  id: number,
  keys: ReadonlyMap<string, unknown>,
): readonly Deed[] {
  const left = (deed: Deed) => deed.rows.filter((row) => !keys.has(keyOf(row)));
  return deeds
    .map((each) => (each.id === id ? { ...each, rows: left(each) } : each))
    .filter(notEmpty);
}

function notEmpty(deed: Deed): boolean {
  return deed.rows.length > 0;
}

/** What a row is of, in a sentence. */
export function called(row: SuggestionRow): string {
  return row.kind === "marker" ? `markers of ${nameOf(row)}` : nameOf(row);
}

/** Of so many reasons each is said; what is left of them the rows say. */
const REASONS = 3;

/** What was done, and of what was not, by its own reason, that it stays. */
function sentence(
  done: string,
  spoken: readonly SuggestionRow[],
  failed: ReadonlyMap<string, Note>,
): string {
  const went = spoken.filter((row) => !failed.has(keyOf(row)));
  const byReason = new Map<string, SuggestionRow[]>();
  for (const row of spoken) {
    const why = failed.get(keyOf(row));
    if (why === undefined) continue;
    const reason = `${why.message}${why.remedy ? ` (${why.remedy})` : ""}`;
    byReason.set(reason, [...(byReason.get(reason) ?? []), row]);
  }
  const reasons = [...byReason];
  const rest = reasons.slice(REASONS).flatMap(([, rows]) => rows);
  return [
    went.length > 0 ? `${done} ${allCalled(went)}` : "",
    ...reasons.slice(0, REASONS).map(([reason, rows]) => `${stays(rows)}: ${reason}`),
    rest.length > 0 ? `${stays(rest)}; their rows say why` : "",
  ]
    .filter(Boolean)
    .join(". ");
}

function stays(rows: readonly SuggestionRow[]): string {
  const [first] = rows;
  const isOne = rows.length === 1 && first?.kind !== "marker";
  const words = allCalled(rows);
  // A name begins as the user has it.
  const begins = first?.kind === "marker" ? capital(words) : words;
  return `${begins} ${isOne ? "stays as it was" : "stay as they were"}`;
}

function allCalled(rows: readonly SuggestionRow[]): string {
  const [first, second] = rows;
  if (first === undefined) return "";
  if (second === undefined) return called(first);
  // Markers are spoken of alone, or with their tag.
  return second.kind === "marker"
    ? `${nameOf(first)} and its markers`
    : many(rows.length, "suggestion");
}
