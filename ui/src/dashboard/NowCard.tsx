/** What is under way, what came of what was, and the buttons that begin more. */
import React from "react";
import type { StashJob } from "../stash/calls";
import { Begin } from "./Begin";
import { Card } from "./Card";
import { useDesk } from "./Desk";
import { EndedJob } from "./EndedJob";
import { together } from "./going";
import { isUnderWay, type Job } from "./polling";
import { UnderWay } from "./UnderWay";

const RECENT = 6;

export function NowCard() {
  const { jobs, tasks } = useDesk();
  return (
    <Card title="Now" name="now" asking={jobs} wide lines={3} actions={<Begin />}>
      {(told) => <Jobs jobs={told} tasks={tasks} />}
    </Card>
  );
}

function Jobs({ jobs, tasks }: { jobs: readonly Job[]; tasks: readonly StashJob[] }) {
  const going = together(jobs, tasks);
  const ended = jobs.filter((job) => !isUnderWay(job)).slice(0, RECENT);
  return (
    <>
      {going.length > 0 ? (
        <ul className="list-unstyled sense-dash-jobs" aria-label="Under way">
          {going.map((each) => (
            <UnderWay key={each.key} task={each.task} job={each.job} />
          ))}
        </ul>
      ) : (
        <p className="text-muted">Nothing is under way.</p>
      )}
      {ended.length > 0 && (
        <>
          <h3>Recently</h3>
          <ul className="list-unstyled sense-dash-ended">
            {ended.map((job) => (
              <EndedJob key={job.id} job={job} />
            ))}
          </ul>
        </>
      )}
    </>
  );
}
