/** A scene's suggestions, by kind, with what the user says of them. */
import { faRotateLeft } from "@fortawesome/free-solid-svg-icons";
import { FontAwesomeIcon } from "@fortawesome/react-fontawesome";
import React, { useEffect, useMemo, useRef, useState } from "react";
import { Button } from "react-bootstrap";
import { Link } from "react-router-dom";
import { ROUTE } from "../pages/route";
import { asideOf, stepAside } from "../parts/aside";
import { useFocusKept } from "../parts/focus";
import { Timeline } from "../parts/Timeline";
import { many, nameOf } from "../parts/words";
import type { SuggestionRow } from "../stash/verdicts";
import { AcceptAbove } from "./AcceptAbove";
import { tagOf, useWritesMarkers } from "./markers";
import { SuggestionItem } from "./SuggestionItem";
import {
  keyOf,
  mayAccept,
  mayRefuse,
  type Said,
  type Shown,
  useVerdictBook,
  waits,
} from "./verdict_book";

interface Props {
  rows: readonly SuggestionRow[];
  /** When the scene was looked at: what is looked at anew is put in order anew. */
  lookedAtS: number | null;
  durationS: number | null;
  /** Suggestions that the reply had no room for. */
  more: number;
  reload(): void;
  seek(seconds: number): void;
}

const GROUPS = [
  { kind: "tag", name: "Tags" },
  { kind: "studio", name: "Studio" },
  { kind: "performer", name: "People" },
  { kind: "marker", name: "Markers" },
] as const;

export function Suggestions({ rows, lookedAtS, durationS, more, reload, seek }: Props) {
  const ordered = useOrder(rows, lookedAtS);
  const book = useVerdictBook(ordered, reload);
  const [current, setCurrent] = useState<string>();
  const [folded, setFolded] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [refusedOpen, setRefusedOpen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const toFocus = useRef<string>();

  const writesMarkers = useWritesMarkers(rows.some(({ kind }) => kind === "marker"));

  const refused = book.rows.filter((row) => row.said === "refused");
  // Of a tag that is refused no markers are suggested.
  const kept = book.rows.filter(
    (row) => row.said !== "refused" && tagOf(row, book.rows)?.said !== "refused",
  );
  const groups = GROUPS.map((group) => ({
    ...group,
    rows: kept.filter((row) => row.kind === group.kind),
  })).filter((group) => group.rows.length > 0);
  const walk = [...groups.flatMap((group) => group.rows), ...(refusedOpen ? refused : [])];
  const waiting = kept.filter(waits);
  const here = walk.find((row) => row.key === current) ?? walk[0];

  const headOf = (key: string | undefined) => {
    const heads = place.current?.querySelectorAll<HTMLElement>("[data-sense-row]") ?? [];
    return [...heads].find((each) => each.dataset.senseRow === key);
  };
  /** Where no row is left the keys go on from what is offered instead: the refused, or Undo. */
  const rest = () => place.current?.querySelector<HTMLElement>("[data-sense-rest]");
  useFocusKept(place, () => headOf(toFocus.current ?? here?.key) ?? rest());
  useEffect(() => {
    const key = toFocus.current;
    toFocus.current = undefined;
    if (key !== undefined) (headOf(key) ?? rest())?.focus();
  });

  /** To the row of that key; without one, to what is offered where no row is left. */
  const go = (key: string | undefined) => {
    toFocus.current = key ?? "";
    setCurrent(key);
  };
  const step = (by: number) => {
    const at = here ? walk.indexOf(here) : -1;
    go(walk[Math.min(walk.length - 1, Math.max(0, at + by))]?.key);
  };
  const say = (row: Shown, said: Said) => {
    if (row.said === said) return;
    const at = walk.indexOf(row);
    const tag = tagOf(row, kept);
    const withTag = said === "accepted" && tag !== undefined && waits(tag);
    book.say(withTag ? [tag, row] : [row], said);
    // On to the next that waits; else near where it was.
    const later = walk.slice(at + 1).find(waits);
    const stays = said === "accepted" || refusedOpen;
    go((later ?? (stays ? row : (walk[at + 1] ?? walk[at - 1])))?.key);
  };
  const undo = () => {
    const [first] = book.last?.rows ?? [];
    if (first) go(keyOf(first));
    else if (here && here.said !== null) {
      book.takeBack(here);
      return;
    }
    book.undo();
  };
  const fold = (row: Shown) =>
    setFolded((before) => new Map(before).set(row.key, !isFolded(row, before)));

  const acts = new Map<string, () => void>([
    ["j", () => step(1)],
    ["ArrowDown", () => step(1)],
    ["k", () => step(-1)],
    ["ArrowUp", () => step(-1)],
    ["Home", () => go(walk[0]?.key)],
    ["End", () => go(walk[walk.length - 1]?.key)],
    ["a", () => here && mayAccept(here) && say(here, "accepted")],
    ["r", () => here && mayRefuse(here) && say(here, "refused")],
    ["u", undo],
    // In Stash it counts; who is used to opening scenes by it in Review must not count here.
    ["o", () => undefined],
  ]);
  const onKeyDown = (event: React.KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
    // Caps Lock must not hand our keys to Stash, which takes both for the same.
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const aside = asideOf(key);
    const row = target.closest("li");
    const act = aside && row ? () => stepAside(row, aside) : acts.get(key);
    if (act === undefined) return;
    // Stash has keys of its own upon the whole page.
    event.preventDefault();
    event.stopPropagation();
    // A key that is held down walks on, and says nothing more.
    if (!(event.repeat && /^[aru]$/.test(key))) act();
  };

  if (rows.length === 0 && !book.message) return null;
  const item = (row: Shown) => (
    <SuggestionItem
      key={row.key}
      row={row}
      tag={tagOf(row, book.rows)}
      writesMarkers={writesMarkers}
      current={row === here}
      folded={isFolded(row, folded)}
      durationS={row.duration_s ?? durationS}
      seek={seek}
      fold={fold}
      enter={setCurrent}
      say={say}
      takeBack={(each) => {
        go(each.key);
        book.takeBack(each);
      }}
    />
  );
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the buttons in it
    <div className="sense-suggestions" ref={place} onKeyDown={onKeyDown}>
      <AcceptAbove
        rows={waiting}
        accept={(those) => {
          book.say(those, "accepted");
          // The button goes, or cannot be pressed again.
          go(those[0]?.key);
        }}
      />
      {rows.length > 0 && <Keys />}
      {groups.map((group) => (
        <section key={group.kind} aria-label={group.name}>
          <h4 className="sense-heading">
            {group.name} <span className="text-muted">{group.rows.length}</span>
          </h4>
          <ul className="sense-plain">{group.rows.map(item)}</ul>
        </section>
      ))}
      <Lanes rows={kept} durationS={durationS} seek={seek} />
      {refused.length > 0 && (
        <details
          className="sense-fold"
          open={refusedOpen}
          onToggle={(event) => setRefusedOpen(event.currentTarget.open)}
        >
          <summary data-sense-rest>Refused ({refused.length})</summary>
          {refusedOpen && <ul className="sense-plain">{refused.map(item)}</ul>}
        </details>
      )}
      {more > 0 && (
        <p className="text-muted sense-small">
          {many(more, "more suggestion")} of this scene: see <Link to={ROUTE}>Review</Link>.
        </p>
      )}
      <div className={book.message ? "sense-said" : "sr-only"}>
        <span role="status">{book.message}</span>
        {book.message && book.last && (
          <Button size="sm" variant="primary" data-sense-rest onClick={undo}>
            <FontAwesomeIcon icon={faRotateLeft} /> Undo
          </Button>
        )}
      </div>
    </div>
  );
}

/** Those that wait first, the most certain first; and none moves while the user is at work. */
function useOrder(
  rows: readonly SuggestionRow[],
  lookedAtS: number | null,
): readonly SuggestionRow[] {
  const places = useRef({ lookedAtS, known: new Map<string, number>() });
  return useMemo(() => {
    if (places.current.lookedAtS !== lookedAtS) places.current = { lookedAtS, known: new Map() };
    const { known } = places.current;
    const rank = (row: SuggestionRow) => (waits(row) ? 0 : 1);
    const fresh = rows.filter((row) => !known.has(keyOf(row)));
    fresh.sort((a, b) => rank(a) - rank(b) || b.confidence - a.confidence);
    for (const row of fresh) known.set(keyOf(row), known.size);
    return [...rows].sort((a, b) => (known.get(keyOf(a)) ?? 0) - (known.get(keyOf(b)) ?? 0));
  }, [rows, lookedAtS]);
}

/** What is settled takes little room until it is asked for. */
function isFolded(row: Shown, chosen: ReadonlyMap<string, boolean>): boolean {
  return chosen.get(row.key) ?? (!waits(row) || row.decision === "HIDE");
}

function Keys() {
  return (
    <details className="sense-keys sense-small">
      <summary>Keys</summary>
      <p>
        <kbd>j</kbd> <kbd>k</kbd> next and previous, <kbd>a</kbd> accept, <kbd>r</kbd> refuse,{" "}
        <kbd>u</kbd> undo, <kbd>Enter</kbd> shows or folds the frames, <kbd>←</kbd> <kbd>→</kbd> go
        through a row's buttons, frames and ranges, where <kbd>Enter</kbd> plays from there. They
        work while the focus is in this list.
      </p>
    </details>
  );
}

/** What is where in the scene, one lane for each. */
function Lanes({
  rows,
  durationS,
  seek,
}: {
  rows: readonly Shown[];
  durationS: number | null;
  seek(seconds: number): void;
}) {
  const lanes = rows
    .filter((row) => row.kind !== "marker" && row.ranges.length > 0)
    .sort((a, b) => (a.ranges[0]?.start_s ?? 0) - (b.ranges[0]?.start_s ?? 0));
  if (lanes.length < 2) return null;
  const ranges = lanes.reduce((sum, row) => sum + row.ranges.length, 0);
  return (
    <details className="sense-fold">
      <summary>
        Over the scene <span className="text-muted">{many(ranges, "range")}</span>
      </summary>
      <ul className="sense-plain">
        {lanes.map((row) => (
          <li key={row.key} className="sense-lane">
            <span className="sense-lane-name" title={nameOf(row)}>
              {nameOf(row)}
            </span>
            <Timeline ranges={row.ranges} durationS={durationS} seek={seek} label={nameOf(row)} />
          </li>
        ))}
      </ul>
    </details>
  );
}
