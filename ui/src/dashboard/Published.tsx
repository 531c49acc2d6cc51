/** The way to who publishes a model: the user's own click alone leads out of Stash. */
import React from "react";
import type { Shapes } from "../stash/calls";

interface Props {
  model: Shapes["ModelRow"];
  children: React.ReactNode;
}

export function Published({ model, children }: Props) {
  if (!model.page?.startsWith("https://")) return <>{children}</>;
  return (
    <a href={model.page} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}
