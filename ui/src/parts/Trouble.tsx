/** What went wrong, and the button that mends it where there is one. */
import React, { useState } from "react";
import { Alert, Button, ProgressBar } from "react-bootstrap";
import { runTask, type SenseError } from "../stash/calls";
import { useQueue } from "../stash/hooks";

interface Props {
  error: SenseError;
  /** Asks again. */
  again(): void;
}

export function Trouble({ error, again }: Props) {
  if (error.needsSetUp) return <NotSetUp error={error} again={again} />;
  return (
    <Alert variant="danger" className="sense-trouble">
      <p>{error.message}</p>
      <Button size="sm" variant="secondary" onClick={again}>
        Try again
      </Button>
    </Alert>
  );
}

/** The first thing that a new user meets: one button, and what it does before it is pressed. */
function NotSetUp({ error, again }: Props) {
  const [job, setJob] = useState<string>();
  const [failed, setFailed] = useState<SenseError>();
  const jobs = useQueue((ended) => {
    if (ended.id === job) {
      setJob(undefined);
      again();
    }
  });
  const under_way = jobs.find((each) => each.id === job);
  const begin = async () => {
    setFailed(undefined);
    try {
      setJob(await runTask("set_up", "Stash Sense: Set up"));
    } catch (why) {
      setFailed(why as SenseError);
    }
  };
  return (
    <Alert variant="info" className="sense-trouble">
      <h5>Stash Sense is not ready yet</h5>
      <p>{error.message}.</p>
      <p>
        Set up installs what it needs beside Stash's own settings and fetches its networks. The
        addresses that it reaches are said in Stash's log before; afterwards nothing leaves this
        machine.
      </p>
      {failed && <p className="text-danger">{failed.message}</p>}
      {job === undefined ? (
        <>
          <Button onClick={begin}>Set up</Button>{" "}
          <Button variant="secondary" onClick={again}>
            Look again
          </Button>
        </>
      ) : (
        <ProgressBar
          animated
          now={Math.max(0.03, under_way?.progress ?? 0) * 100}
          aria-label="Setting up"
          label={under_way === undefined ? "waiting in Stash's queue" : undefined}
        />
      )}
    </Alert>
  );
}
