/** The ways to the scenes that something is about. */
import React from "react";
import { Link } from "react-router-dom";

const MOST = 5;

export function SceneLink({ id, children }: { id: string; children?: React.ReactNode }) {
  return <Link to={`/scenes/${encodeURIComponent(id)}`}>{children ?? `scene ${id}`}</Link>;
}

/** What is done to one scene leads there by its own name. */
export function NameOf({ name, ids }: { name: string; ids: readonly string[] }) {
  const [only] = ids;
  return (
    <span className="sense-dash-job-name">
      {ids.length === 1 && only !== undefined ? <SceneLink id={only}>{name}</SceneLink> : name}
    </span>
  );
}

/** The scenes of what is done to several. */
export function SceneLinks({ ids }: { ids: readonly string[] }) {
  if (ids.length < 2) return null;
  return (
    <span className="sense-dash-scenes">
      {ids.slice(0, MOST).map((id) => (
        <SceneLink key={id} id={id} />
      ))}
      {ids.length > MOST && <span>and {ids.length - MOST} more</span>}
    </span>
  );
}
