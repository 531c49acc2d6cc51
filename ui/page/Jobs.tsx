/** The queue of jobs, as it changes. */
import { useApolloClient, useMutation } from "@apollo/client";
import { faTimes } from "@fortawesome/free-solid-svg-icons";
import React, { useEffect, useState } from "react";
import { Button, Card, ProgressBar } from "react-bootstrap";
import { JOB_QUEUE, JOBS, type Job, STOP_JOB } from "./documents";
import { Icon } from "./Icon";

const STAYS_MS = 10_000;

function useJobs(): Job[] {
  const client = useApolloClient();
  const [jobs, setJobs] = useState<Job[]>([]);
  useEffect(() => {
    const timers: number[] = [];
    const put = (job: Job) =>
      setJobs((before) =>
        before.some(({ id }) => id === job.id)
          ? before.map((each) => (each.id === job.id ? job : each))
          : [...before, job],
      );
    const drop = (job: Job) => setJobs((before) => before.filter(({ id }) => id !== job.id));
    const heard = client.subscribe({ query: JOBS }).subscribe(({ data }) => {
      if (!data) return;
      const { type, job } = data.jobsSubscribe;
      put(job);
      // How it ended stays in sight for a while.
      if (type === "REMOVE") timers.push(window.setTimeout(() => drop(job), STAYS_MS));
    });
    void client
      .query({ query: JOB_QUEUE, fetchPolicy: "network-only" })
      .then(({ data }) => data.jobQueue?.forEach(put));
    return () => {
      heard.unsubscribe();
      for (const timer of timers) window.clearTimeout(timer);
    };
  }, [client]);
  return jobs;
}

function Row({ job }: { job: Job }) {
  const [stop, { called }] = useMutation(STOP_JOB);
  const canStop = !called && (job.status === "READY" || job.status === "RUNNING");
  return (
    <li className="job">
      <div>
        <Button
          className="minimal stop"
          size="sm"
          title="Stop"
          disabled={!canStop}
          onClick={() => void stop({ variables: { job: job.id } })}
        >
          <Icon icon={faTimes} />
        </Button>
        <div className={`job-status ${job.status.toLowerCase()}`}>
          <div className="job-description">{job.description}</div>
          {job.status === "RUNNING" && job.progress !== null && (
            <ProgressBar
              animated
              now={job.progress * 100}
              label={`${Math.round(job.progress * 100)}%`}
            />
          )}
          {job.error && <div className="job-error">{job.error}</div>}
        </div>
      </div>
    </li>
  );
}

export function Jobs() {
  const jobs = useJobs();
  return (
    <Card className="job-table">
      <ul>
        {jobs.length === 0 && <li className="empty-queue-message">No tasks currently running.</li>}
        {jobs.map((job) => (
          <Row key={job.id} job={job} />
        ))}
      </ul>
    </Card>
  );
}
