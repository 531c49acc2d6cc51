/** How Stash Sense stands: what it does, what it did, and what can be done about it. */
import React from "react";
import { Link } from "react-router-dom";
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
  const error = overview.error ?? jobs.error;
  if (error?.needsSetUp && jobs.told === undefined) {
    const again = () => {
      jobs.reload();
      refresh();
    };
    return <Trouble error={error} again={again} />;
  }
  return (
    <>
      <Complaints complaints={overview.told?.complaints ?? []} />
      <div className="sense-dashboard">
        <NowCard />
        <LibraryCard />
        <div className="sense-column">
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
    <div className="alert alert-warning sense-complaints">
      <ul>
        {complaints.map((complaint) => (
          <li key={complaint}>{complaint}</li>
        ))}
      </ul>
      <Link to="/plugins/stash-sense/settings">Change the settings</Link>
    </div>
  );
}
