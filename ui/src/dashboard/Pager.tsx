/** Goes through a list that comes page by page, each named by where the last one ended. */
import React, { useState } from "react";
import { Deed } from "../parts/Deed";

export interface Paging {
  /** What the page that is shown is asked by; undefined for the first. */
  after: string | undefined;
  page: number;
  back(): void;
  on(next: string): void;
}

export function usePaging(): Paging {
  const [places, setPlaces] = useState<readonly string[]>([]);
  return {
    after: places[places.length - 1],
    page: places.length + 1,
    back: () => setPlaces((before) => before.slice(0, -1)),
    // A second click before the page has come is no second page.
    on: (next) =>
      setPlaces((before) => (before[before.length - 1] === next ? before : [...before, next])),
  };
}

interface Props {
  paging: Paging;
  next: string | null;
  /** What is on the pages: `errors`. */
  what: string;
}

export function Pager({ paging, next, what }: Props) {
  if (paging.page === 1 && next === null) return null;
  return (
    <nav className="sense-dash-pager" aria-label={`Pages of ${what}`}>
      <Deed size="sm" variant="secondary" busy={paging.page === 1} does={paging.back}>
        Newer
      </Deed>
      <span aria-live="polite">Page {paging.page}</span>
      <Deed
        size="sm"
        variant="secondary"
        busy={next === null}
        does={() => next !== null && paging.on(next)}
      >
        Older
      </Deed>
    </nav>
  );
}
