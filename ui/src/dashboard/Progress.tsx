/** How far something is, in Stash's own bar. */
import React from "react";

interface Props {
  /** 0..1; null where nobody knows. */
  share: number | null;
  label: string;
}

/** React-Bootstrap's own would put the name where no screen reader finds it. */
export function Progress({ share, label }: Props) {
  const now = Math.min(100, Math.max(0, Math.round((share ?? 0) * 100)));
  return (
    <div className="sense-dash-progress">
      <div className="progress">
        <div
          className="progress-bar progress-bar-striped progress-bar-animated"
          role="progressbar"
          aria-label={label}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={now}
          // A bar that tells nothing yet still has to be seen.
          style={{ width: `${Math.max(2, now)}%` }}
        />
      </div>
      <span className="sense-dash-progress-share" aria-hidden>
        {now}%
      </span>
    </div>
  );
}
