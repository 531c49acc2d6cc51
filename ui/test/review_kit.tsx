/** A library of suggestions for the tests of the review page, which does what is said of them. */
import { render } from "@testing-library/react";
import React from "react";
import { MemoryRouter, Route } from "react-router-dom";
import { Answers } from "../src/review/answers";
import { ReviewPage } from "../src/review/ReviewPage";
import type { Shapes } from "../src/stash/calls";
import { FakeStash } from "./fake_stash";

type Row = Shapes["SuggestionRow"];
type Stand = "asked" | "accepted" | "refused";
type Items = Shapes["NamedSaid"][];

export const ROW_PX = 120;
export const LIST_PX = 600;

export function suggestion(given: Partial<Row> & { scene_id: string; name: string }): Row {
  return {
    title: `Scene ${given.scene_id}`,
    source: `/lib/${given.scene_id}.mp4`,
    kind: "tag",
    label: given.name.toLowerCase(),
    target_id: null,
    confidence: 0.8,
    decision: "ASK",
    said: null,
    in_stash: "absent",
    duration_s: 60,
    ranges: [{ start_s: 1, end_s: 9, score: 0.8 }],
    evidence: [
      {
        time_s: 4,
        score: 0.8,
        detector: "clip",
        model: "clip-vit-b32@1",
        box: null,
        text: null,
      },
    ],
    ...given,
  };
}

/** So many scenes of one name, the most certain first. */
export function beaches(count: number, name = "Beach"): Row[] {
  return Array.from({ length: count }, (_, i) =>
    suggestion({ scene_id: String(i + 1), name, confidence: 0.99 - (i / count) * 0.5 }),
  );
}

function key({ scene_id, kind, name }: Pick<Shapes["NotDone"], "scene_id" | "kind" | "name">) {
  return `${scene_id} ${kind} ${name}`;
}

/** Keeps the worker's promise for what the review page asks. */
export class Library {
  readonly stands = new Map<string, Stand>();
  /** What cannot be written, and why. */
  readonly broken = new Map<string, string>();
  /** What each call fails with, while it is set. */
  away: string | undefined;
  /** How many replies are lost on their way: what was asked is done all the same. */
  lose = 0;
  readonly stash: FakeStash;
  readonly answers = new Answers();

  constructor(readonly rows: readonly Row[]) {
    for (const row of rows) this.stands.set(key(row), row.said ?? "asked");
    const nothing = { run_id: "run", dry_run: false, failed: 0, failures: [] };
    this.stash = new FakeStash({
      counts: () => ({ tags: this.counts(), next: null }),
      overview: () => ({ ...OVERVIEW, scenes: { ...OVERVIEW.scenes, looked_at: rows.length } }),
      pictures: ({ times_s }) => ({
        pictures: times_s.map((time_s) => ({ time_s, tile: null, data: null })),
        note: "",
      }),
      suggestions: (asked) => this.page(asked),
      accept: (asked) => {
        const told = { ...nothing, accepted: 0, written: 0, there: 0, markers: 0 };
        if (asked.dry_run) {
          const count = this.above(asked).length;
          return { ...told, run_id: null, dry_run: true, accepted: count, written: count };
        }
        return { ...told, ...this.say(asked.items, "accepted") };
      },
      refuse: ({ items }) => {
        const told = { ...nothing, refused: 0, taken_back: 0, markers: 0, not_ours: 0, left: [] };
        return { ...told, ...this.say(items, "refused") };
      },
      unsay: ({ items }) => {
        const told = { ...nothing, unsaid: 0, taken_back: 0, written: 0, markers: 0, left: [] };
        return { ...told, ...this.say(items, "asked") };
      },
    });
  }

  standing(stand: Stand): Row[] {
    return this.rows.filter((row) => this.stands.get(key(row)) === stand);
  }

  /** The calls of a mode, by the names of their scenes. */
  sent(mode: string): string[][] {
    return this.stash.calls
      .filter((call) => call.mode === mode && call.args.items)
      .map((call) => (call.args.items as Items).map((item) => item.scene_id));
  }

  private above({ tag, above = 0 }: Shapes["VerdictAsked"]): Row[] {
    return this.standing("asked").filter((row) => row.name === tag && row.confidence >= above);
  }

  private say(items: Items = [], stand: Stand) {
    if (this.away) throw new Error(this.away);
    const failures = items
      .map(({ said, ...item }) => ({ kind: "tag" as const, target_id: "", ...item, said }))
      .map(({ said, ...item }) => ({ ...item, message: this.refusal(item, said) ?? "" }))
      .filter(({ message }) => message)
      .map((item) => ({ ...item, remedy: "let it be tagged once more" }));
    const failed = new Set(failures.map(key));
    for (const item of items) {
      const one = key({ kind: "tag", ...item });
      if (!failed.has(one)) this.stands.set(one, stand);
    }
    if (this.lose > 0) {
      this.lose -= 1;
      throw new Error("Failed to fetch");
    }
    return { failed: failures.length, failures };
  }

  private refusal(item: Parameters<typeof key>[0], said?: "accepted" | "refused") {
    const stand = this.stands.get(key(item));
    if (stand === undefined) return "Stash Sense suggested no such thing";
    return said && stand !== said ? `it is not ${said}` : this.broken.get(key(item));
  }

  private counts(): Shapes["Counted"][] {
    const found = new Map<string, Shapes["Counted"]>();
    for (const row of this.rows) {
      const { kind, name } = row;
      // They come with their tag, and are no names of their own.
      if (kind === "marker") continue;
      const one = found.get(`${kind} ${name}`) ?? { kind, name, ask: 0, apply: 0, refused: 0 };
      const stand = this.stands.get(key(row)) ?? "asked";
      one[({ asked: "ask", accepted: "apply", refused: "refused" } as const)[stand]] += 1;
      found.set(`${kind} ${name}`, one);
    }
    return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  private page(asked: Shapes["SuggestionsAsked"]): Shapes["SuggestionsTold"] {
    if (this.away) throw new Error(this.away);
    const stand = asked.decision === "refused" ? "refused" : "asked";
    const limit = asked.limit ?? 50;
    const places = new Map(this.rows.map((row, i) => [row, i]));
    const all = this.standing(stand)
      .filter((row) => asked.by !== "tag" || row.name === asked.tag)
      .filter((row) => (places.get(row) ?? 0) > Number(asked.after ?? -1));
    const rows = all.slice(0, limit);
    const last = rows[rows.length - 1];
    return {
      suggestions: rows,
      next: all.length > limit && last ? String(places.get(last)) : null,
    };
  }
}

const OVERVIEW: Shapes["OverviewTold"] = {
  version: "0",
  scenes: { in_stash: 1, looked_at: 1, failed: 0, to_do: 0, tagged: 1, errored: 0 },
  suggestions: { ask: 0, apply: 0, refused: 0 },
  coverage: [],
  speed: null,
  workflow: { to_do: "TagMe", tagged: "Tagged", errored: "Errored" },
  complaints: [],
};

/** Where the page is. */
export const at = { now: "" };

/** Open the review page at an address of its own. */
export function review(library: Library, search = "") {
  return render(
    <MemoryRouter initialEntries={[`/plugins/stash-sense${search}`]}>
      <Route exact path="/plugins/stash-sense">
        <ReviewPage answers={library.answers} />
      </Route>
      <Route
        render={({ location }) => {
          at.now = location.pathname + location.search;
          return null;
        }}
      />
    </MemoryRouter>,
  );
}

export function rows(): HTMLElement[] {
  // By role it would take ten times as long, and the tests ask a thousand times.
  return [...document.querySelectorAll<HTMLElement>("[role=listitem][data-row]")];
}

/** The row that the keys are about. */
export function active(): string | undefined {
  return document.activeElement?.getAttribute("aria-label") ?? undefined;
}

/** jsdom lays nothing out: lists are so high, and so is what is in them. */
export function layOut(): () => void {
  const isScroll = (element: Element) => element.className.includes("scroll");
  const content = (element: Element) =>
    Number.parseFloat(element.querySelector<HTMLElement>("[role=list], ul")?.style.height || "0");
  const undo = [
    define(HTMLElement.prototype, "offsetHeight", (element) =>
      element.hasAttribute("data-index") ? ROW_PX : isScroll(element) ? LIST_PX : 0,
    ),
    define(Element.prototype, "clientHeight", (element) => (isScroll(element) ? LIST_PX : 0)),
    define(Element.prototype, "scrollHeight", (element) =>
      isScroll(element) ? Math.max(LIST_PX, content(element)) : 0,
    ),
  ];
  Element.prototype.scrollTo = function scrollTo(this: Element, to?: ScrollToOptions | number) {
    this.scrollTop = typeof to === "object" ? (to.top ?? 0) : 0;
    this.dispatchEvent(new Event("scroll"));
  };
  return () => {
    for (const each of undo) each();
  };
}

function define(on: object, name: string, get: (element: Element) => number): () => void {
  const before = Object.getOwnPropertyDescriptor(on, name);
  Object.defineProperty(on, name, {
    configurable: true,
    get(this: Element) {
      return get(this);
    },
  });
  return () => {
    if (before) Object.defineProperty(on, name, before);
  };
}
