/** Accept all of a name that is certain enough: page after page, so that it can be stopped. */
import { useEffect, useRef, useState } from "react";
import { inPercent } from "../parts/words";
import { operate, type SenseError } from "../stash/calls";
import type { Kind } from "./address";
import { type Answers, keyOf, Step } from "./answers";
import { titleOf } from "./listing";

const PAGE = 100;

export interface Bulk {
  /** As the user calls it. */
  called: string;
  done: number;
  total: number;
}

export interface What {
  tag: string;
  kind: Kind;
  /** As the user calls it. */
  called: string;
}

export interface AcceptingAll {
  /** How far it is; nothing where none is under way. */
  bulk: Bulk | undefined;
  error: SenseError | undefined;
  /** `above` is in percent, as it is shown. */
  begin(what: What, above: number, total: number): void;
  stop(): void;
}

export function useAcceptingAll(
  answers: Answers,
  ended: (done: number, called: string) => void,
): AcceptingAll {
  const [bulk, setBulk] = useState<Bulk>();
  const [error, setError] = useState<SenseError>();
  const stopped = useRef(false);
  const gone = useRef(false);
  const tell = useRef(ended);
  tell.current = ended;
  // Nobody would see how far it is, nor could stop it.
  useEffect(
    () => () => {
      stopped.current = true;
      gone.current = true;
    },
    [],
  );
  const begin = async ({ tag, kind, called }: What, above: number, total: number) => {
    stopped.current = false;
    setError(undefined);
    setBulk({ called, done: 0, total });
    let done = 0;
    let last: Step | undefined;
    try {
      for await (const step of acceptAll(answers, tag, kind, above, () => stopped.current)) {
        // What could not be done is no part of it any more.
        done = step.changes.length;
        last = step;
        if (!gone.current) setBulk({ called, done, total });
      }
    } catch (why) {
      if (!gone.current) setError(why as SenseError);
    }
    if (gone.current) return;
    setBulk(undefined);
    // It may have been undone since, and that was said.
    if (!last?.undone) tell.current(done, called);
  };
  return {
    bulk,
    error,
    begin: (...all) => void begin(...all),
    stop: () => {
      stopped.current = true;
    },
  };
}

/** Yields what was accepted so far, and ends where the user undoes it. Raises SenseError. */
async function* acceptAll(
  answers: Answers,
  tag: string,
  kind: Kind,
  above: number,
  stopped: () => boolean,
): AsyncGenerator<Step> {
  const step = new Step();
  let after: string | null | undefined;
  do {
    const told = await operate("suggestions", {
      by: "tag",
      tag,
      kind,
      decision: "ask",
      limit: PAGE,
      ...(after ? { after } : {}),
    });
    const pending = answers.pending();
    const sure = told.suggestions.filter((each) => inPercent(each.confidence) >= above);
    const rows = sure
      .filter((each) => !pending.has(keyOf(each)))
      .map((each) => ({ ...each, title: titleOf(each) }));
    if (stopped() || step.undone) return;
    if (rows.length > 0) answers.say(rows, "asked", "accepted", step);
    await answers.settled();
    if (answers.error) throw answers.error;
    yield step;
    // The most certain come first.
    if (sure.length < told.suggestions.length) return;
    after = told.next;
  } while (after !== null && !stopped() && !step.undone);
}
