/** How certain a suggestion is. */
import React from "react";
import "./parts.css";
import { percent } from "./words";

export function Confidence({ share }: { share: number }) {
  const text = percent(share);
  return (
    <span className="sense-confidence" title={`Confidence ${text}`}>
      <span className="sense-confidence-track" aria-hidden="true">
        <span className="sense-confidence-bar" style={{ width: text }} />
      </span>
      <span className="sr-only">Confidence </span>
      {text}
    </span>
  );
}
