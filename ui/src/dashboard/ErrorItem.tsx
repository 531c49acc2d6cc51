/** One scene that failed. */
import React, { useState } from "react";
import { Deed } from "../parts/Deed";
import { operate, type SenseError, type Shapes } from "../stash/calls";
import { useJob } from "../stash/hooks";
import { useDesk } from "./Desk";
import { outcome } from "./outcome";
import { Progress } from "./Progress";
import { SceneLink } from "./SceneLinks";
import { capital, date, fileName, sentence } from "./words";

interface Props {
  row: Shapes["ErrorRow"];
  /** Hears what came of another try. */
  tried(came: string): void;
}

export function ErrorItem({ row, tried }: Props) {
  const { say, jobs, refresh } = useDesk();
  const [jobId, setJobId] = useState<string>();
  const [failed, setFailed] = useState<SenseError>();
  const name = fileName(row.source);
  const { job } = useJob(jobId, (ended) => {
    setJobId(undefined);
    const told = ended.status === "cancelled" ? "Stopped." : outcome(ended) || "Done.";
    tried(`${name}, tried again: ${told}`);
    say(`${name}: ${told}`);
    jobs.reload();
    refresh();
  });
  const again = async () => {
    setFailed(undefined);
    try {
      setJobId((await operate("tag_scene", { scene_id: row.scene_id })).job_id);
      say(`${name} is tried again`);
      jobs.reload();
    } catch (why) {
      setFailed(why as SenseError);
    }
  };
  return (
    <li className="sense-dash-error">
      <div className="sense-dash-error-head">
        <SceneLink id={row.scene_id}>
          <span className="sense-dash-break" title={row.source}>
            {name}
          </span>
        </SceneLink>
        <span className="text-muted sense-dash-when">{date(row.failed_at_s)}</span>
        <Deed
          size="sm"
          variant="secondary"
          busy={jobId !== undefined}
          aria-label={`Try ${name} again`}
          does={again}
        >
          {jobId === undefined ? "Try again" : "Trying"}
        </Deed>
      </div>
      <p className="sense-dash-break">{sentence(row.message)}</p>
      {row.remedy && <p className="text-muted sense-dash-break">{capital(sentence(row.remedy))}</p>}
      {jobId !== undefined && <Progress share={job?.progress ?? null} label={`Trying ${name}`} />}
      {failed && (
        <p className="text-danger" role="alert">
          {failed.message}
        </p>
      )}
    </li>
  );
}
