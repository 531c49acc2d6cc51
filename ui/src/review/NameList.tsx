/** The names of which something waits, those first of which the most did as the page was opened. */
import { useVirtualizer } from "@tanstack/react-virtual";
import React, { useEffect, useMemo, useRef, useState } from "react";
import { Form } from "react-bootstrap";
import { Link } from "react-router-dom";
import { many } from "../parts/words";
import { addressOf, type Place } from "./address";
import { type Counted, nameKey } from "./names";

interface Props {
  names: readonly Counted[];
  place: Place;
}

const NAME_PX = 40;

/** Those with something to ask; the one under review stays though it is done. */
export function waiting(names: readonly Counted[], place?: Place): Counted[] {
  const now = place && nameKey({ kind: place.kind, name: place.tag });
  return names.filter((each) => each.ask > 0 || nameKey(each) === now);
}

export function NameList({ names, place }: Props) {
  const [filter, setFilter] = useState("");
  const scroll = useRef<HTMLDivElement>(null);
  const shown = useShown(names, place, filter);
  const chosen = shown.findIndex(
    (each) => nameKey(each) === nameKey({ kind: place.kind, name: place.tag }),
  );
  const virtual = useVirtualizer<HTMLDivElement, HTMLLIElement>({
    count: shown.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => NAME_PX,
    overscan: 6,
    useFlushSync: false,
  });
  const drawn = virtual.getVirtualItems();
  // The tab key needs one that is there: the chosen one may be far from what is in sight.
  const stop = drawn.some(({ index }) => index === chosen) ? chosen : drawn[0]?.index;
  const { scrollToIndex } = virtual;
  useEffect(() => {
    if (chosen >= 0) scrollToIndex(chosen);
  }, [chosen, scrollToIndex]);
  const focus = (index: number) => {
    virtual.scrollToIndex(index);
    // The row may be drawn only once the list has moved.
    window.requestAnimationFrame(() =>
      scroll.current?.querySelector<HTMLElement>(`[data-index="${index}"] a`)?.focus(),
    );
  };
  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>) => {
    const inFilter = (event.target as Element).tagName === "INPUT";
    const at = Number(
      (event.target as Element).closest("[data-index]")?.getAttribute("data-index"),
    );
    const step = stepOf(event.key, inFilter);
    if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    focus(inFilter ? 0 : Math.min(shown.length - 1, Math.max(0, at + step)));
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrows between the links in it
    <div className="sense-review-names" onKeyDown={onKeyDown}>
      <Form.Control
        type="search"
        className="text-input"
        placeholder="Filter names"
        aria-label="Filter names"
        value={filter}
        onChange={(event) => setFilter(event.target.value)}
      />
      <p className="sr-only" role="status">
        {filter && many(shown.length, "name")}
      </p>
      <div className="sense-review-names-scroll" ref={scroll}>
        <ul
          aria-label="Names with suggestions"
          style={{ height: virtual.getTotalSize() }}
          className="list-unstyled"
        >
          {drawn.map(({ index, start }) => {
            const each = shown[index];
            if (each === undefined) return null;
            return (
              <li
                key={nameKey(each)}
                data-index={index}
                aria-posinset={index + 1}
                aria-setsize={shown.length}
                style={{ transform: `translateY(${start}px)` }}
              >
                <Name counted={each} chosen={index === chosen} stops={index === stop} />
              </li>
            );
          })}
        </ul>
        {shown.length === 0 && <p className="text-muted p-2">No name has “{filter}” in it.</p>}
      </div>
    </div>
  );
}

function stepOf(key: string, inFilter: boolean): number | undefined {
  if (key === "ArrowDown" || (key === "j" && !inFilter)) return 1;
  if (!inFilter && (key === "ArrowUp" || key === "k")) return -1;
  return undefined;
}

function useShown(names: readonly Counted[], place: Place, filter: string): readonly Counted[] {
  const { by, tag, kind } = place;
  return useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    const all = waiting(names, { by, tag, kind });
    const has = (word = "") => word.toLowerCase().includes(wanted);
    return wanted ? all.filter(({ name, called }) => has(name) || has(called)) : all;
  }, [names, by, tag, kind, filter]);
}

interface NameProps {
  counted: Counted;
  chosen: boolean;
  stops: boolean;
}

function Name({ counted, chosen, stops }: NameProps) {
  const { kind, name, called, ask } = counted;
  return (
    <Link
      to={addressOf({ by: "tag", tag: name, kind })}
      className={`sense-review-name-link ${chosen ? "active" : ""}`}
      aria-current={chosen ? "page" : undefined}
      tabIndex={stops ? 0 : -1}
      // The keys are for the list that is chosen now.
      onClick={(event) => event.currentTarget.blur()}
    >
      <span className="sense-review-name-text">
        {name}
        {called !== undefined && (
          <span className="text-muted small">
            {" "}
            <span className="sr-only">your tag </span>
            {called}
          </span>
        )}
      </span>
      {kind !== "tag" && <span className="text-muted small">{kind}</span>}
      <span className="badge badge-secondary">
        {ask.toLocaleString("en-US")}
        <span className="sr-only"> waiting</span>
      </span>
    </Link>
  );
}
