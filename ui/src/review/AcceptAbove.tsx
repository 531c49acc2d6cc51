/** "Accept all above 90%": counted first, and asked once more. */
import React, { useEffect, useRef, useState } from "react";
import { Alert, Button, Form, Modal, ProgressBar } from "react-bootstrap";
import { Trouble } from "../parts/Trouble";
import { inPercent, leastShare, many } from "../parts/words";
import { operate, type SenseError, type Shapes } from "../stash/calls";
import type { Place } from "./address";
import { type Answers, said } from "./answers";
import type { AcceptingAll, Bulk } from "./bulk";
import { takeUp } from "./focus";
import type { Listed } from "./listing";

interface Props {
  place: Place;
  /** What the user calls it. */
  called: string;
  listed: Listed;
  answers: Answers;
  accepting: AcceptingAll;
}

export function AcceptAbove({ place, called, listed, answers, accepting }: Props) {
  const [above, setAbove] = useState(90);
  const [asking, setAsking] = useState(false);
  const { bulk, error, stop } = accepting;
  const [bar, begun] = useWay(bulk !== undefined);
  if (bulk) return <HowFar bulk={bulk} stop={stop} bar={bar} />;
  const { count, sure } = counted(listed, above);
  return (
    <div className="sense-review-above">
      <Form.Control
        type="range"
        custom
        min={0}
        max={100}
        value={above}
        aria-label="Least confidence to accept"
        aria-valuetext={`${above}%`}
        onChange={(event) => setAbove(Number(event.target.value))}
      />
      <Button
        size="sm"
        variant="secondary"
        disabled={count === 0 && sure}
        onClick={() => setAsking(true)}
      >
        Accept all above {above}% ({count.toLocaleString("en-US")}
        {sure ? "" : "+"})
      </Button>
      {error && <span className="text-danger small">Not all were accepted: {error.message}</span>}
      {asking && (
        <Asking
          place={place}
          called={called}
          above={above}
          answers={answers}
          close={() => setAsking(false)}
          begin={(total) => {
            setAsking(false);
            begun();
            accepting.begin({ tag: place.tag, kind: place.kind, called }, above, total);
          }}
        />
      )}
    </div>
  );
}

interface HowFarProps {
  bulk: Bulk;
  stop(): void;
  bar: React.RefObject<HTMLFieldSetElement>;
}

function HowFar({ bulk, stop, bar }: HowFarProps) {
  const { called, done, total } = bulk;
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const what = `Accepting ${called}`;
  return (
    <fieldset className="sense-review-bulk" aria-label={what} tabIndex={-1} ref={bar}>
      <ProgressBar now={share * 100} label={`${called}: ${done} of ${total}`} aria-label={what} />
      <Button size="sm" variant="secondary" onClick={stop}>
        Stop
      </Button>
    </fieldset>
  );
}

/** The focus goes from the dialog to how far it is, and from there on into the list. */
function useWay(running: boolean): [React.RefObject<HTMLFieldSetElement>, () => void] {
  const bar = useRef<HTMLFieldSetElement>(null);
  const begun = useRef(false);
  const page = useRef<Element | null>(null);
  useEffect(() => {
    if (running) {
      page.current = bar.current?.closest(".sense-review") ?? null;
      if (begun.current) bar.current?.focus();
      begun.current = false;
    } else takeUp(page.current);
  }, [running]);
  const begin = () => {
    begun.current = true;
  };
  return [bar, begin];
}

/** By what is shown; the most certain come first, so that what is fetched may say it already. */
function counted({ rows, ended }: Listed, above: number): { count: number; sure: boolean } {
  const less = rows.findIndex((row) => inPercent(row.confidence) < above);
  return { count: less < 0 ? rows.length : less, sure: ended || less >= 0 };
}

interface AskingProps {
  place: Place;
  called: string;
  /** In percent. */
  above: number;
  answers: Answers;
  close(): void;
  begin(total: number): void;
}

function Asking({ place, called, above, answers, close, begin }: AskingProps) {
  const { told, error, again } = useDryRun(place, above, answers);
  return (
    <Modal show onHide={close} className="sense-review-asking" aria-labelledby="sense-asking">
      <Modal.Header closeButton>
        <Modal.Title id="sense-asking" as="h5">
          Accept {called} above {above}%?
        </Modal.Title>
      </Modal.Header>
      <Modal.Body aria-live="polite">
        {error && <Trouble error={error} again={again} />}
        {!error && !told && <p>Counting…</p>}
        {told && <WhatComes told={told} name={called} />}
      </Modal.Body>
      <Modal.Footer>
        <Button variant="secondary" onClick={close}>
          Cancel
        </Button>
        <Button disabled={!told || told.accepted === 0} onClick={() => begin(told?.accepted ?? 0)}>
          Accept{told ? ` ${told.accepted.toLocaleString("en-US")}` : ""}
        </Button>
      </Modal.Footer>
    </Modal>
  );
}

function WhatComes({ told, name }: { told: Shapes["AcceptTold"]; name: string }) {
  const reasons = [...new Set(told.failures.map(said))];
  return (
    <>
      <p>
        {many(told.written, "scene")} would get {name}
        {told.there > 0 && `, and ${many(told.there, "scene")} have it already`}. It can be undone
        with u.
      </p>
      {told.failed > 0 && (
        <Alert variant="warning">
          {many(told.failed, "scene")} cannot have it and stay in the list:
          <ul className="mb-0">
            {reasons.slice(0, 5).map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </Alert>
      )}
    </>
  );
}

/** Ask what would come of it, once what was said before is done. */
function useDryRun({ tag, kind }: Place, above: number, answers: Answers) {
  const [told, setTold] = useState<Shapes["AcceptTold"]>();
  const [error, setError] = useState<SenseError>();
  const [round, setRound] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    let gone = false;
    const ask = async () => {
      setError(undefined);
      try {
        await answers.settled();
        const found = await operate("accept", {
          tag,
          kind,
          above: leastShare(above),
          dry_run: true,
        });
        if (!gone) setTold(found);
      } catch (why) {
        if (!gone) setError(why as SenseError);
      }
    };
    void ask();
    return () => {
      gone = true;
    };
  }, [tag, kind, above, answers, round]);
  return { told, error, again: () => setRound((before) => before + 1) };
}
