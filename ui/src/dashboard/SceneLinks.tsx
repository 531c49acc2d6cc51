/** The ways to the scenes that something is about. */
import React from "react";
import { Link } from "react-router-dom";

const MOST = 5;

export function SceneLink({ id, children }: { id: string; children?: React.ReactNode }) {
  return <Link to={`/scenes/${encodeURIComponent(id)}`}>{children ?? `scene ${id}`}</Link>;
}

export function SceneLinks({ ids }: { ids: readonly string[] }) {
  if (ids.length === 0) return null;
  return (
    <span className="sense-scenes">
      {ids.slice(0, MOST).map((id) => (
        <SceneLink key={id} id={id} />
      ))}
      {ids.length > MOST && <span>and {ids.length - MOST} more</span>}
    </span>
  );
}
