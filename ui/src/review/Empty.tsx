/** What stands where nothing waits, and what to do then. */
import React, { useEffect, useRef } from "react";
import { Link } from "react-router-dom";
import { ROUTE } from "../pages/route";
import { many, nameOf } from "../parts/words";
import { useOperation } from "../stash/hooks";
import { addressOf } from "./address";
import { takeUp } from "./focus";
import type { Counted } from "./names";

const DASHBOARD = `${ROUTE}/dashboard`;

interface BlockProps {
  title: string;
  children?: React.ReactNode;
}

function Block({ title, children }: BlockProps) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The row that had the focus is gone; the keys go on from here.
    takeUp(place.current?.closest(".sense-review") ?? null);
  }, []);
  return (
    <div className="sense-review-empty" ref={place} tabIndex={-1}>
      <h3>{title}</h3>
      {children}
    </div>
  );
}

/** Nothing waits in all of the library. */
export function NothingWaits() {
  const { told, error, loading } = useOperation("overview", {});
  if (loading && !told && !error) return <div className="sense-review-empty" aria-busy="true" />;
  if (told?.scenes.looked_at === 0) return <NeverTagged />;
  return (
    <Block title="Nothing waits for you">
      <p>
        {told
          ? `${many(told.scenes.looked_at, "scene")} were looked at, and all that was suggested is answered or written.`
          : "All that was suggested is answered or written."}
      </p>
      <p>
        What Stash Sense is sure of it writes by itself; what it is not sure of comes here. Tag more
        scenes, or switch on “Suggest only” in its settings to be asked about everything.
      </p>
      <Link className="btn btn-secondary" to={DASHBOARD}>
        Open the dashboard
      </Link>
    </Block>
  );
}

function NeverTagged() {
  return (
    <Block title="No scene was looked at yet">
      <p>
        Suggestions come from looking at scenes. Open a scene and press “Tag this scene” on its
        Sense tab, or press “Tag the whole library” on the dashboard.
      </p>
      <Link className="btn btn-primary" to={DASHBOARD}>
        Open the dashboard
      </Link>
    </Block>
  );
}

export function NothingRefused() {
  return (
    <Block title="Nothing is refused">
      <p>What you refuse is never suggested for its scene again; it is listed here.</p>
      <p>
        Markers that you refused are listed on the Sense tab of their scene, and taken back there.
      </p>
    </Block>
  );
}

/** A name is done; the next one is a key away. */
export function NameDone({ name, next }: { name: string; next: Counted | undefined }) {
  return (
    <Block title={`Nothing of ${name} waits any more`}>
      {next ? (
        <p>
          <Link
            className="btn btn-primary"
            to={addressOf({ by: "tag", tag: next.name, kind: next.kind })}
          >
            Next: {nameOf(next)} ({next.ask.toLocaleString("en-US")})
          </Link>
        </p>
      ) : (
        <p>It was the last name with something to ask.</p>
      )}
    </Block>
  );
}

/** No name is chosen yet. */
export function ChooseName({ names, ask }: { names: readonly Counted[]; ask: number }) {
  const [first] = names;
  if (first === undefined) return null;
  return (
    <div className="sense-review-empty sense-review-choose">
      <h3>
        {many(ask, "suggestion")} of {many(names.length, "name")} {ask === 1 ? "waits" : "wait"} for
        your word
      </h3>
      <p>Choose a name to go through its scenes, the most certain first.</p>
      <Link
        className="btn btn-primary"
        to={addressOf({ by: "tag", tag: first.name, kind: first.kind })}
        onClick={(event) => event.currentTarget.blur()}
      >
        Begin with {nameOf(first)} ({first.ask.toLocaleString("en-US")})
      </Link>
    </div>
  );
}
