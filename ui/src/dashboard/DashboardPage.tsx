/** How Stash Sense stands: what it does, what it did, and what can be done about it. */
import React from "react";
import { Link } from "react-router-dom";
import { ROUTE } from "../pages/route";
import { Trouble } from "../parts/Trouble";
import { AccuracyCard } from "./AccuracyCard";
import { DeskProvider, useDesk } from "./Desk";
import { DoctorCard } from "./DoctorCard";
import { ErrorsCard } from "./ErrorsCard";
import { LibraryCard } from "./LibraryCard";
import { ModelsCard } from "./ModelsCard";
import { NowCard } from "./NowCard";
import { RunsCard } from "./RunsCard";
import { SpeedCard } from "./SpeedCard";
import "./dashboard.css";

export function DashboardPage() {
  return (
    <DeskProvider>
      <h1 className="sr-only">Stash Sense: Dashboard</h1>
      <Cards />
    </DeskProvider>
  );
}

function Cards() {
  const { jobs, overview, refresh } = useDesk();
  // Where nothing answers, one word of it is enough.
  const nothing = jobs.told === undefined && overview.told === undefined;
  if (nothing && jobs.error && overview.error?.message === jobs.error.message) {
    const again = () => {
      jobs.reload();
      refresh();
    };
    return <Trouble error={jobs.error} again={again} />;
  }
  return (
    <>
      <Complaints complaints={overview.told?.complaints ?? []} />
      <div className="sense-dashboard">
        <NowCard />
        <LibraryCard />
        <div className="sense-dash-column">
          <SpeedCard />
          <RunsCard />
        </div>
        <ErrorsCard />
        <ModelsCard />
        <AccuracyCard />
        <DoctorCard />
      </div>
    </>
  );
}

/** Settings that cannot be used: whatever else the page says, they come first. */
function Complaints({ complaints }: { complaints: readonly string[] }) {
  if (complaints.length === 0) return null;
  return (
    <div className="alert alert-warning">
      <ul className="mb-2">
        {complaints.map((complaint) => (
          <li key={complaint}>{complaint}</li>
        ))}
      </ul>
      <Link className="alert-link" to={`${ROUTE}/settings`}>
        Change the settings
      </Link>
    </div>
  );
}
