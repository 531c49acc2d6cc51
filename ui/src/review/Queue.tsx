/** The list of what waits: thousands of rows of which those in sight are drawn, worked by keys. */
import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import React, { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useHistory } from "react-router-dom";
import { asideOf, stepAside } from "../parts/aside";
import { Trouble } from "../parts/Trouble";
import { nameOf } from "../parts/words";
import { type Answers, keyOf, type Stand } from "./answers";
import { isLost } from "./focus";
import { type Acts, rowLabel, SceneHead, Suggestion, sceneAddress } from "./Item";
import type { Listed, Row } from "./listing";

type Item =
  | { readonly key: string; readonly head: Row; readonly count: number }
  | { readonly key: string; readonly row: Row };

interface Props {
  listed: Listed;
  answers: Answers;
  /** What the list is of, for a screen reader. */
  label: string;
  /** Scene after scene, each with all of its own. */
  grouped: boolean;
  refused: boolean;
  /** Say what happened. */
  tell(words: string): void;
  /** What stands where nothing is left. */
  children: React.ReactNode;
}

/** Rows from the end at which the next page is fetched. */
const AHEAD = 60;
/** Rows drawn above and below those in sight. */
const OVER = 4;
const ROW_PX = 128;
const HEAD_PX = 64;
const SAID: Record<Stand, string> = {
  accepted: "Accepted",
  refused: "Refused",
  asked: "Took back",
};

export function Queue(props: Props) {
  const { listed, grouped, label, refused, answers } = props;
  const { rows } = listed;
  const items = useMemo(() => itemsOf(rows, grouped), [rows, grouped]);
  const places = useMemo(() => new Map(items.map((item, i) => [item.key, i])), [items]);
  const scroll = useRef<HTMLDivElement>(null);
  const [active, setActive, activeIndex] = useActive(items, places);
  const virtual = useVirtualizer<HTMLDivElement, HTMLDivElement>({
    count: items.length,
    getScrollElement: () => scroll.current,
    estimateSize: (i) => (isRow(items[i]) ? ROW_PX : HEAD_PX),
    getItemKey: (i) => items[i]?.key ?? i,
    overscan: OVER,
    // The head of a scene stays in sight above its first row.
    scrollPaddingStart: grouped ? HEAD_PX : 0,
    useFlushSync: false,
    directDomUpdates: true,
    rangeExtractor: useCallback((range: Range) => withActive(range, activeIndex), [activeIndex]),
  });
  const drawn = virtual.getVirtualItems();
  const held = useRef(false);
  const toIndex = (i: number) => virtual.scrollToIndex(i);
  const focus = useFocus(scroll, held, active, activeIndex, toIndex);
  useAhead(listed, items.length, drawn[drawn.length - 1]?.index ?? 0);
  useSteady(scroll, items, active, virtual.measurementsCache[activeIndex]?.start);
  useUndone(answers, refused ? "refused" : "asked", setActive, focus);
  const acts = useActs(props, setActive, focus);
  const onKeyDown = useKeys(props, items, activeIndex, setActive, focus, acts);
  const onFocus = (event: React.FocusEvent) => {
    held.current = true;
    const row = (event.target as Element).closest<HTMLElement>("[data-row]");
    if (row?.dataset.row) setActive(row.dataset.row);
  };

  const onBlur = (event: React.FocusEvent<HTMLElement>) => {
    held.current = event.currentTarget.contains(event.relatedTarget as Node | null);
  };

  if (rows.length === 0 && listed.error) {
    return <Trouble error={listed.error} again={listed.again} />;
  }
  if (rows.length === 0 && listed.ended) return <>{props.children}</>;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of the rows and their buttons
    <div
      className="sense-review-scroll"
      ref={scroll}
      onKeyDown={onKeyDown}
      onFocus={onFocus}
      onBlur={onBlur}
    >
      {rows.length === 0 && <Waiting />}
      {/* biome-ignore lint/a11y/useSemanticElements: a list whose rows are placed by hand */}
      <div
        role="list"
        aria-label={label}
        aria-busy={listed.loading}
        className="sense-review-list"
        ref={virtual.containerRef}
      >
        {drawn.map(({ index }) => {
          const item = items[index];
          if (item === undefined) return null;
          const place = {
            "data-index": index,
            ref: virtual.measureElement,
            "aria-posinset": index + 1,
            "aria-setsize": listed.ended ? items.length : -1,
          };
          if (!isRow(item)) {
            return (
              // biome-ignore lint/a11y/useSemanticElements: its list is one of such
              <div role="listitem" key={item.key} {...place} className="sense-review-item">
                <SceneHead row={item.head} count={item.count} refused={refused} acts={acts} />
              </div>
            );
          }
          const { row } = item;
          return (
            // biome-ignore lint/a11y/useSemanticElements: its list is one of such
            <div
              role="listitem"
              key={row.key}
              {...place}
              className={`sense-review-item sense-review-row ${row.key === active ? "sense-active" : ""}`}
              tabIndex={row.key === active ? 0 : -1}
              data-row={row.key}
              aria-label={rowLabel(row)}
              aria-current={row.key === active ? "true" : undefined}
            >
              <Suggestion
                row={row}
                why={listed.why(row, !virtual.isScrolling)}
                grouped={grouped}
                refused={refused}
                active={row.key === active}
                calm={!virtual.isScrolling || row.key === active}
                reason={answers.reasons.get(row.key)}
                acts={acts}
              />
            </div>
          );
        })}
      </div>
      {rows.length > 0 && listed.loading && <p className="sense-review-more">Fetching more…</p>}
      {rows.length > 0 && listed.error && <Trouble error={listed.error} again={listed.again} />}
    </div>
  );
}

/** Rows to come, in the room that they will take. */
function Waiting() {
  return (
    <div className="sense-review-waiting" role="status">
      <span className="sr-only">Fetching suggestions…</span>
      {[1, 2, 3, 4].map((each) => (
        <div key={each} className="sense-review-ghost" />
      ))}
    </div>
  );
}

function isRow(item: Item | undefined): item is Extract<Item, { row: Row }> {
  return item !== undefined && "row" in item;
}

function itemsOf(rows: readonly Row[], grouped: boolean): Item[] {
  if (!grouped) return rows.map((row) => ({ key: row.key, row }));
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row.scene_id, (counts.get(row.scene_id) ?? 0) + 1);
  return rows.flatMap((row, i): Item[] => {
    const item = { key: row.key, row };
    if (rows[i - 1]?.scene_id === row.scene_id) return [item];
    return [
      { key: `scene ${row.scene_id}`, head: row, count: counts.get(row.scene_id) ?? 0 },
      item,
    ];
  });
}

/** The row with the focus is drawn wherever the list was scrolled to: keys go on from there. */
function withActive(range: Range, active: number): number[] {
  const drawn = defaultRangeExtractor(range);
  if (active < 0 || active >= range.count || drawn.includes(active)) return drawn;
  return [...drawn, active].sort((a, b) => a - b);
}

type Places = ReadonlyMap<string, number>;

/** The row that keys are about: another takes its place where it leaves. */
function useActive(
  items: readonly Item[],
  places: Places,
): [string | undefined, (key: string) => void, number] {
  const [wanted, setWanted] = useState<string>();
  const last = useRef(0);
  const index = wanted === undefined ? undefined : places.get(wanted);
  const now = index ?? nextRow(items, last.current);
  last.current = Math.max(0, now);
  const item = items[now];
  return [isRow(item) ? item.key : undefined, setWanted, now];
}

/** The first row from an index on, or the last before it; -1 where there is none. */
function nextRow(items: readonly Item[], from: number): number {
  for (let i = from; i < items.length; i++) if (isRow(items[i])) return i;
  for (let i = Math.min(from, items.length) - 1; i >= 0; i--) if (isRow(items[i])) return i;
  return -1;
}

/**
 * Returns how to bring the focus to the active row once it is drawn, and once more to a row that
 * is still to come. `held`: whether the list had the focus, which leaves with its row.
 */
function useFocus(
  scroll: React.RefObject<HTMLDivElement>,
  held: React.MutableRefObject<boolean>,
  active: string | undefined,
  index: number,
  toIndex: (index: number) => void,
): (coming?: string) => void {
  const wanted = useRef(true);
  const coming = useRef<string>();
  const bring = useRef(toIndex);
  bring.current = toIndex;
  useLayoutEffect(() => {
    const element = scroll.current;
    if (coming.current !== undefined && coming.current === active) {
      coming.current = undefined;
      wanted.current = true;
    }
    if (held.current && isLost()) wanted.current = true;
    if (!wanted.current || active === undefined || element === null) return;
    const drawn = [...element.querySelectorAll<HTMLElement>("[data-row]")];
    const row = drawn.find((each) => each.dataset.row === active);
    const here = document.activeElement;
    // On arrival the focus is only taken where nobody has it.
    if (row === undefined || !(isLost() || element.contains(here))) return;
    wanted.current = false;
    if (index > 0 || element.scrollTop > 0) bring.current(index);
    row.focus({ preventScroll: true });
  });
  return useCallback((row?: string) => {
    wanted.current = true;
    coming.current = row;
  }, []);
}

function useAhead({ loading, ended, error, more }: Listed, count: number, last: number) {
  useEffect(() => {
    if (!loading && !ended && !error && count - last < AHEAD) more();
  }, [loading, ended, error, more, count, last]);
}

/** What comes back above the active row, or leaves there, must not move it. */
function useSteady(
  scroll: React.RefObject<HTMLDivElement>,
  items: readonly Item[],
  active: string | undefined,
  start: number | undefined,
) {
  const before = useRef({ items, active, start });
  useLayoutEffect(() => {
    const was = before.current;
    before.current = { items, active, start };
    if (was.items === items || was.active !== active || scroll.current === null) return;
    if (start === undefined || was.start === undefined || start === was.start) return;
    scroll.current.scrollTop += start - was.start;
  });
}

/** What was undone is what the keys go on with. */
function useUndone(
  answers: Answers,
  wanted: Stand,
  setActive: (key: string) => void,
  focus: (coming?: string) => void,
) {
  useEffect(
    () =>
      answers.onChange((changes, cause) => {
        const back = changes.find(({ to }) => to === wanted);
        if (cause !== "undone" || back === undefined) return;
        const key = keyOf(back.row);
        setActive(key);
        focus(key);
      }),
    [answers, wanted, setActive, focus],
  );
}

function useActs(props: Props, setActive: (key: string) => void, focus: () => void): Acts {
  const history = useHistory();
  const now = useRef(props);
  now.current = props;
  return useMemo(() => {
    const say = (rows: readonly Row[], to: Stand, what: string) => {
      const { answers, listed, refused, tell } = now.current;
      if (rows.length === 0) return;
      const next = nextAfter(listed.rows, rows);
      if (next) setActive(next.key);
      focus();
      tell(`${SAID[to]} ${what}`);
      answers.say(rows, refused ? "refused" : "asked", to);
    };
    const one = (row: Row) => `${nameOf(row)} for ${row.title}`;
    const ofScene = (id: string) => now.current.listed.rows.filter((row) => row.scene_id === id);
    const all = (id: string, to: Stand) => {
      const rows = ofScene(id);
      say(rows, to, `all ${rows.length} of ${rows[0]?.title}`);
    };
    return {
      accept: (row) => say([row], "accepted", one(row)),
      refuse: (row) => say([row], "refused", one(row)),
      takeBack: (row) => say([row], "asked", `that ${one(row)} was refused`),
      acceptScene: (id) => all(id, "accepted"),
      refuseScene: (id) => all(id, "refused"),
      seek: (row, seconds) => history.push(sceneAddress(row.scene_id, seconds)),
    };
  }, [history, setActive, focus]);
}

/** The row that the eye goes on to where some leave. */
function nextAfter(rows: readonly Row[], leaving: readonly Row[]): Row | undefined {
  const gone = new Set(leaving.map((row) => row.key));
  const last = rows.reduce((found, row, i) => (gone.has(row.key) ? i : found), -1);
  const before = () => rows.slice(0, Math.max(0, last)).filter((row) => !gone.has(row.key));
  return rows.slice(last + 1).find((row) => !gone.has(row.key)) ?? before().pop();
}

/** Keys of the list; those of the page (undo, the next name) are the page's. */
function useKeys(
  { refused, grouped }: Props,
  items: readonly Item[],
  index: number,
  setActive: (key: string) => void,
  focus: () => void,
  acts: Acts,
) {
  const history = useHistory();
  return (event: React.KeyboardEvent<HTMLElement>) => {
    const item = items[index];
    if (!isRow(item) || isTyped(event)) return;
    const go = (to: number) => {
      const there = items[to];
      if (isRow(there)) setActive(there.key);
      focus();
    };
    const { row } = item;
    const whole = grouped && event.shiftKey;
    const answer = (act: (row: Row) => void, scene: (id: string) => void) => () =>
      // A key held down must not answer what nobody has seen.
      event.repeat ? undefined : whole ? scene(row.scene_id) : act(row);
    const open = () => history.push(sceneAddress(row.scene_id));
    const keys: Record<string, (() => void) | undefined> = {
      j: () => go(rowFrom(items, index, 1)),
      k: () => go(rowFrom(items, index, -1)),
      home: () => go(rowFrom(items, -1, 1)),
      end: () => go(rowFrom(items, items.length, -1)),
      o: open,
      enter: isPressable(event.target) || event.repeat ? undefined : open,
      ...(refused
        ? { t: () => event.repeat || acts.takeBack(row) }
        : { a: answer(acts.accept, acts.acceptScene), r: answer(acts.refuse, acts.refuseScene) }),
    };
    keys.arrowdown = keys.j;
    keys.arrowup = keys.k;
    const aside = asideOf(event.key);
    const here = (event.target as Element).closest<HTMLElement>("[data-row]");
    const act = aside && here ? () => stepAside(here, aside) : keys[event.key.toLowerCase()];
    if (act === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  };
}

/** The row before or after an index; where there is none, the one at it. */
function rowFrom(items: readonly Item[], from: number, step: 1 | -1): number {
  for (let i = from + step; i >= 0 && i < items.length; i += step) if (isRow(items[i])) return i;
  return from;
}

/** Whether a key is written somewhere, or belongs to the browser. */
export function isTyped(event: React.KeyboardEvent): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey) return true;
  return (event.target as Element).closest("input, select, textarea") !== null;
}

function isPressable(target: EventTarget): boolean {
  return (target as Element).closest("a, button") !== null;
}
