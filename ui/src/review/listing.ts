/** The suggestions of a list, page after page as they come into sight. */
import { useEffect, useState } from "react";
import { type Modes, operate, type SenseError, type Shapes } from "../stash/calls";
import { type Answered, type Answers, type Change, keyOf, type Stand } from "./answers";

type Asked = Modes["suggestions"]["asked"];
type Told = Shapes["SuggestionRow"];

/** What of a suggestion every row of the list keeps. */
export interface Row extends Answered {
  readonly key: string;
  readonly source: string;
  readonly label: string;
  readonly confidence: number;
  readonly in_stash: Told["in_stash"];
  readonly duration_s: number | null;
  /** Which page it came with. */
  readonly page: number;
}

/** Why it is suggested: the large part, kept of the pages that were in sight last. */
export type Why = Pick<Told, "ranges" | "evidence">;

export const PAGE = 100;
const PAGES_KEPT = 20;
/** More than a row can show. */
const PROOFS_KEPT = 24;

export class Listing {
  rows: readonly Row[] = [];
  ended = false;
  loading = false;
  error: SenseError | undefined;
  private readonly keys = new Set<string>();
  /** Behind which place each page begins. */
  private readonly begins: (string | undefined)[] = [];
  private next: string | undefined;
  private readonly whys = new Map<number, Map<string, Why>>();
  private readonly fetching = new Set<number>();
  private closed = false;

  constructor(
    private readonly asked: Asked,
    private readonly changed: () => void,
  ) {}

  /** Fetch the next page. */
  async more(): Promise<void> {
    if (this.loading || this.ended || this.closed) return;
    this.loading = true;
    this.error = undefined;
    this.changed();
    try {
      const number = this.begins.length;
      const told = await this.fetch(this.next);
      this.begins.push(this.next);
      this.next = told.next ?? undefined;
      this.ended = told.next === null;
      this.keep(number, told.suggestions);
    } catch (why) {
      this.error = why as SenseError;
    }
    this.loading = false;
    if (!this.closed) this.changed();
  }

  /** Why a row is suggested; where it was let go it is fetched again if `calm`. */
  why(row: Row, calm: boolean): Why | undefined {
    const found = this.whys.get(row.page);
    if (found === undefined) {
      if (calm) void this.fetchAgain(row.page);
      return undefined;
    }
    // Of those that are full the one that was in sight longest ago goes first.
    this.whys.delete(row.page);
    this.whys.set(row.page, found);
    return found.get(row.key);
  }

  has(key: string): boolean {
    return this.keys.has(key);
  }

  close(): void {
    this.closed = true;
  }

  private fetch(after: string | undefined) {
    return operate("suggestions", { ...this.asked, limit: PAGE, ...(after ? { after } : {}) });
  }

  private keep(page: number, told: readonly Told[]): void {
    const fresh = told.filter((each) => !this.keys.has(keyOf(each)));
    for (const each of fresh) this.keys.add(keyOf(each));
    this.rows = [...this.rows, ...fresh.map((each) => slim(each, page))];
    this.keepWhys(page, told);
  }

  private keepWhys(page: number, told: readonly Told[]): void {
    this.whys.set(page, new Map(told.map((each) => [keyOf(each), why(each)])));
    for (const oldest of this.whys.keys()) {
      if (this.whys.size <= PAGES_KEPT) break;
      this.whys.delete(oldest);
    }
  }

  /** What has left the list since only lets others move up: the page's rows are in it still. */
  private async fetchAgain(page: number): Promise<void> {
    if (this.fetching.has(page) || this.closed) return;
    this.fetching.add(page);
    try {
      const told = await this.fetch(this.begins[page]);
      this.keepWhys(page, told.suggestions);
    } catch {
      // Names and confidence are there; the frames are asked for when it is in sight again.
      this.keepWhys(page, []);
    }
    this.fetching.delete(page);
    if (!this.closed) this.changed();
  }
}

function slim(told: Told, page: number): Row {
  return {
    key: keyOf(told),
    page,
    scene_id: told.scene_id,
    kind: told.kind,
    name: told.name,
    called: told.called,
    target_id: told.target_id,
    title: titleOf(told),
    source: told.source,
    label: told.label,
    confidence: told.confidence,
    in_stash: told.in_stash ?? null,
    duration_s: told.duration_s ?? null,
  };
}

/** What a scene goes by; many have no title of their own. */
export function titleOf({ title, source, scene_id }: Told): string {
  return title || source.split(/[/\\]/).pop() || `Scene ${scene_id}`;
}

function why(told: Told): Why {
  const best = [...told.evidence].sort((a, b) => b.score - a.score).slice(0, PROOFS_KEPT);
  return { ranges: told.ranges, evidence: best };
}

export interface Listed {
  /** Those that still stand as the list wants them. */
  rows: readonly Row[];
  loading: boolean;
  ended: boolean;
  error: SenseError | undefined;
  more(): void;
  why(row: Row, calm: boolean): Why | undefined;
  again(): void;
}

/**
 * Follow a list and what is said of its rows; `wanted` is how these stand, and `heard` is told of
 * the rows as they come.
 */
export function useListing(
  asked: Asked,
  wanted: Stand,
  answers: Answers,
  heard: (rows: readonly Row[]) => void,
): Listed {
  const key = JSON.stringify(asked);
  const [round, setRound] = useState(0);
  const [listed, setListed] = useState<Listed>(NOTHING);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    setListed(NOTHING);
    const own = JSON.parse(key) as Asked;
    const stands = answers.pending();
    let rows: readonly Row[] = [];
    let known: readonly Row[] | undefined;
    let closed = false;
    const make = (): Listing => {
      const made = new Listing(own, () => {
        if (made !== listing) return;
        follow();
      });
      return made;
    };
    const again = () => {
      if (rows.length > 0) void listing.more();
      else setRound((before) => before + 1);
    };
    const show = () =>
      setListed({
        rows,
        loading: listing.loading,
        ended: listing.ended,
        error: listing.error,
        more: () => void listing.more(),
        why: (row, calm) => listing.why(row, calm),
        again,
      });
    const choose = () => {
      known = listing.rows;
      rows = known.filter((row) => (stands.get(row.key) ?? wanted) === wanted);
    };
    const follow = () => {
      if (known !== listing.rows) {
        heard(listing.rows.slice(known?.length ?? 0));
        choose();
      }
      show();
    };
    let listing = make();
    const absent = new Absent(own, wanted, answers);
    /** What is shown stays until as much of it is here again. */
    const fetchAnew = async () => {
      const fresh = make();
      do await fresh.more();
      while (!closed && !fresh.error && !fresh.ended && fresh.rows.length < listing.rows.length);
      if (closed) return;
      listing.close();
      listing = fresh;
      known = undefined;
      follow();
    };
    let begun = false;
    const stops = [
      answers.onChange((changes) => {
        for (const { row, to } of changes) stands.set(keyOf(row), to);
        absent.note(changes, listing);
        choose();
        show();
      }),
      answers.subscribe(() => {
        if (begun && absent.arrived()) void fetchAnew();
      }),
    ];
    const begin = async () => {
      if (absent.any) await answers.settled();
      if (closed) return;
      // What is sent by now comes with the first page.
      absent.arrived();
      begun = true;
      void listing.more();
    };
    void begin();
    return () => {
      closed = true;
      for (const stop of stops) stop();
      listing.close();
    };
  }, [key, wanted, answers, heard, round]);
  return listed;
}

/** What belongs into a list and is not in it, as Stash does not know yet how it stands. */
class Absent {
  private readonly keys = new Set<string>();

  constructor(
    private readonly asked: Asked,
    private readonly wanted: Stand,
    private readonly answers: Answers,
  ) {
    for (const row of answers.unsentAs(wanted)) this.add(row);
  }

  get any(): boolean {
    return this.keys.size > 0;
  }

  note(changes: readonly Change[], listing: Listing): void {
    // What was not sent yet never left what the worker lists.
    const unsent = new Set(this.answers.unsentAs(this.wanted).map(keyOf));
    for (const { row, to } of changes) {
      const key = keyOf(row);
      if (to !== this.wanted) this.keys.delete(key);
      else if (unsent.has(key) && !listing.has(key)) this.add(row);
    }
  }

  /** Whether there was some, and Stash knows of all of it by now. */
  arrived(): boolean {
    if (!this.any) return false;
    if (this.answers.unsentAs(this.wanted).some((row) => this.keys.has(keyOf(row)))) return false;
    this.keys.clear();
    return true;
  }

  private add(row: Answered): void {
    const { by, tag, kind } = this.asked;
    const another = row.kind !== kind || row.name.toLowerCase() !== tag?.toLowerCase();
    if (by !== "tag" || !another) this.keys.add(keyOf(row));
  }
}

const NOTHING: Listed = {
  rows: [],
  loading: true,
  ended: false,
  error: undefined,
  more: () => undefined,
  why: () => undefined,
  again: () => undefined,
};
