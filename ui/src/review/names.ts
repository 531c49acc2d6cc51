/** What is suggested by name, and how often: it follows what the user says. */
import { useCallback, useEffect, useMemo, useState } from "react";
import { operate, type SenseError, type Shapes } from "../stash/calls";
import type { Answered, Answers, Change, Stand } from "./answers";

export type Counted = Shapes["Counted"] & {
  /** What the user calls it, where that is another word; as far as a row of it was seen. */
  called?: string | undefined;
};
type Thing = Shapes["SuggestionRow"]["kind"];

const PAGE = 500;

export interface Names {
  /** Those of which the most waited come first; where one is stays as it is, whatever is said. */
  names: readonly Counted[];
  loading: boolean;
  error: SenseError | undefined;
  ask: number;
  refused: number;
  again(): void;
  /** Learn from rows what the user calls them. */
  heard(rows: readonly Answered[]): void;
}

export function nameKey({ kind, name }: { kind: Thing; name: string }): string {
  return `${kind} ${name.toLowerCase()}`;
}

const COUNT = { asked: "ask", accepted: "apply", refused: "refused" } as const satisfies Record<
  Stand,
  keyof Counted
>;

function changed(names: readonly Counted[], changes: readonly Change[]): readonly Counted[] {
  const moved = new Map<string, Record<Stand, number>>();
  for (const { row, from, to } of changes) {
    const by = moved.get(nameKey(row)) ?? { asked: 0, accepted: 0, refused: 0 };
    by[from] -= 1;
    by[to] += 1;
    moved.set(nameKey(row), by);
  }
  return names.map((each) => {
    const by = moved.get(nameKey(each));
    if (by === undefined) return each;
    const now = { ...each };
    for (const stand of ["asked", "accepted", "refused"] as const) {
      now[COUNT[stand]] = Math.max(0, each[COUNT[stand]] + by[stand]);
    }
    return now;
  });
}

async function fetchAll(gone: () => boolean): Promise<Counted[]> {
  const found: Counted[] = [];
  let after: string | null | undefined;
  do {
    const told = await operate("counts", { limit: PAGE, ...(after ? { after } : {}) });
    found.push(...told.tags);
    after = told.next;
  } while (after !== null && !gone());
  return found;
}

function byMost(one: Counted, other: Counted): number {
  return other.ask - one.ask || one.name.localeCompare(other.name);
}

type Words = ReadonlyMap<string, string>;

function useWords(): [Words, (rows: readonly Answered[]) => void] {
  const [words, setWords] = useState<Words>(new Map());
  const heard = useCallback((rows: readonly Answered[]) => {
    const told = rows.flatMap((row) => (row.called ? [[nameKey(row), row.called] as const] : []));
    setWords((before) =>
      told.every(([key, called]) => before.get(key) === called)
        ? before
        : new Map([...before, ...told]),
    );
  }, []);
  return [words, heard];
}

export function useNames(answers: Answers): Names {
  const [words, heard] = useWords();
  const [round, setRound] = useState(0);
  const [names, setNames] = useState<readonly Counted[]>([]);
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState<SenseError>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    let gone = false;
    const meanwhile: Change[] = [];
    const ask = async () => {
      setLoading(true);
      try {
        // What is under way would be counted as it was before.
        await answers.settled();
        meanwhile.length = 0;
        const found = await fetchAll(() => gone);
        if (gone) return;
        setNames(changed([...found].sort(byMost), meanwhile));
        setError(undefined);
      } catch (why) {
        if (gone) return;
        setError(why as SenseError);
      }
      setLoading(false);
    };
    const stop = answers.onChange((changes) => {
      meanwhile.push(...changes);
      setNames((before) => changed(before, changes));
    });
    void ask();
    return () => {
      gone = true;
      stop();
    };
  }, [answers, round]);
  const called = useMemo(
    () =>
      words.size === 0
        ? names
        : names.map((each) => ({ ...each, called: words.get(nameKey(each)) })),
    [names, words],
  );
  const sum = (of: "ask" | "refused") => names.reduce((all, each) => all + each[of], 0);
  const again = () => setRound((before) => before + 1);
  return { names: called, loading, error, ask: sum("ask"), refused: sum("refused"), again, heard };
}
