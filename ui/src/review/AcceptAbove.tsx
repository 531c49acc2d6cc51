/** "Accept all above 90%": counted first, and asked once more. */
import React, { useEffect, useState } from "react";
import { Alert, Button, Form, Modal, ProgressBar } from "react-bootstrap";
import { Trouble } from "../parts/Trouble";
import { inPercent, leastShare, many } from "../parts/words";
import { operate, type SenseError, type Shapes } from "../stash/calls";
import type { Place } from "./address";
import { type Answers, said } from "./answers";
import type { AcceptingAll } from "./bulk";
import type { Listed } from "./listing";

interface Props {
  place: Place;
  listed: Listed;
  answers: Answers;
  accepting: AcceptingAll;
}

export function AcceptAbove({ place, listed, answers, accepting }: Props) {
  const [above, setAbove] = useState(90);
  const [asking, setAsking] = useState(false);
  const { bulk, error, stop } = accepting;
  if (bulk) {
    const share = bulk.total > 0 ? Math.min(1, bulk.done / bulk.total) : 0;
    return (
      <div className="sense-review-bulk">
        <ProgressBar
          now={share * 100}
          label={`${bulk.tag}: ${bulk.done} of ${bulk.total}`}
          aria-label={`Accepting ${bulk.tag}`}
        />
        <Button size="sm" variant="secondary" onClick={stop}>
          Stop
        </Button>
      </div>
    );
  }
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
          above={above}
          answers={answers}
          close={() => setAsking(false)}
          begin={(total) => {
            setAsking(false);
            accepting.begin(place.tag, place.kind, above, total);
          }}
        />
      )}
    </div>
  );
}

/** By what is shown; the most certain come first, so that what is fetched may say it already. */
function counted({ rows, ended }: Listed, above: number): { count: number; sure: boolean } {
  const less = rows.findIndex((row) => inPercent(row.confidence) < above);
  return { count: less < 0 ? rows.length : less, sure: ended || less >= 0 };
}

interface AskingProps {
  place: Place;
  /** In percent. */
  above: number;
  answers: Answers;
  close(): void;
  begin(total: number): void;
}

function Asking({ place, above, answers, close, begin }: AskingProps) {
  const { told, error, again } = useDryRun(place, above, answers);
  return (
    <Modal show onHide={close} className="sense-review-asking" aria-labelledby="sense-asking">
      <Modal.Header closeButton>
        <Modal.Title id="sense-asking" as="h5">
          Accept {place.tag} above {above}%?
        </Modal.Title>
      </Modal.Header>
      <Modal.Body aria-live="polite">
        {error && <Trouble error={error} again={again} />}
        {!error && !told && <p>Counting…</p>}
        {told && <WhatComes told={told} name={place.tag} />}
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
