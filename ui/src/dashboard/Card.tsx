/** One part of the dashboard: it loads, fails and is asked again for itself. */
import React, { useRef } from "react";
import { Boundary } from "../parts/Boundary";
import { useFocusKept } from "../parts/focus";
import { Trouble } from "../parts/Trouble";
import type { Asking } from "../stash/hooks";

interface Props<T> {
  title: string;
  /** Names the card within the page. */
  name: string;
  asking: Asking<T>;
  /** Whether it takes the whole width. */
  wide?: boolean;
  /** Lines that stand there until the answer comes, so that nothing jumps. */
  lines?: number;
  actions?: React.ReactNode;
  children(told: T): React.ReactNode;
}

export function Card<T>({ title, name, asking, wide, lines = 4, actions, children }: Props<T>) {
  const { told, error, loading, reload } = asking;
  const heading = `sense-dash-card-${name}`;
  const place = useRef<HTMLElement>(null);
  // What is done in a card may take its own row out of it: what came of it is read next, and it may
  // be told only after the row is gone.
  const find = (selector: string) => place.current?.querySelector<HTMLElement>(selector);
  useFocusKept(
    place,
    () => find("h2"),
    () => find("[data-sense-came]"),
  );
  return (
    <section
      className={`card sense-dash-card sense-dash-card-${name}${wide ? " sense-dash-card-wide" : ""}`}
      aria-labelledby={heading}
      ref={place}
      aria-busy={loading && told === undefined}
    >
      <header className="sense-dash-card-head">
        <h2 id={heading} tabIndex={-1}>
          {title}
        </h2>
        {actions && <div className="sense-dash-card-actions">{actions}</div>}
      </header>
      <Boundary what={`the card ${title}`}>
        {error && <Trouble error={error} again={reload} />}
        {told !== undefined && <Drawn told={told} draw={children} />}
        {told === undefined && !error && <Waiting lines={lines} />}
      </Boundary>
    </section>
  );
}

/** A component of its own, so that a fault in drawing is caught by the card's own boundary. */
function Drawn<T>({ told, draw }: { told: T; draw(told: T): React.ReactNode }) {
  return <>{draw(told)}</>;
}

const WIDTHS = ["72%", "90%", "58%", "81%"];

function Waiting({ lines }: { lines: number }) {
  return (
    <div className="sense-dash-waiting">
      <span className="sr-only">Loading</span>
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines are all alike
        <div key={line} aria-hidden style={{ width: WIDTHS[line % WIDTHS.length] }} />
      ))}
    </div>
  );
}
